"""Workers and models as rows of a table: what stands in each cell, and how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from actors.policies.steering import lasting_of
from protocol.ports import WorkerView
from protocol.workers import ModelStatus

WORKER_COLUMNS: Final = ("worker", "kind", "state", "sessions", "in memory", "queue", "rtf", "first audio", "up", "via")
MODEL_COLUMNS: Final = ("model", "worker", "state", "users", "memory", "waiting", "idle", "languages", "licence")
_UNKNOWN: Final = "-"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Row:
    """`key` stays the same while the cells change; `style` is of its state."""

    key: str
    cells: tuple[str, ...]
    style: str
    lasting: tuple[str, ...]
    """The cells without those that change by the mere passing of time."""


_STYLES: Final = {
    "ready": "green",
    "resident": "green",
    "draining": "yellow",
    "loading": "yellow",
    "starting": "yellow",
    "no answer": "bold red",
    "failed": "bold red",
    "known": "dim",
}


def lasting(view: WorkerView) -> WorkerView:
    """Without what changes by the mere passing of time."""
    return replace(view, models=lasting_of(view.models))


def worker_rows(views: Sequence[WorkerView], *, now_s: float) -> list[Row]:
    """One for each worker; `now_s` is Unix time."""
    return [_worker_row(view, now_s) for view in views]


def _worker_row(view: WorkerView, now_s: float) -> Row:
    worker, load = view.worker, view.worker.metrics
    state = worker.state if view.answers or worker.via else "no answer"
    steady = (
        worker.name,
        worker.kind,
        state,
        f"{worker.sessions}/{worker.capacity}",
        " ".join(worker.resident_models) or _UNKNOWN,
        f"{load.queue_depth} ({load.waiting} waiting)" if load.waiting else str(load.queue_depth),
        f"{load.rtf:.2f}" if load.rtf else _UNKNOWN,
        f"{load.p50_first_audio_ms:.0f} ms" if load.p50_first_audio_ms else _UNKNOWN,
    )
    up = duration(now_s - worker.started_at / 1e6) if worker.started_at else _UNKNOWN
    via = worker.via or _UNKNOWN
    return Row(worker.name, (*steady, up, via), _STYLES[state], (*steady, via))


def model_rows(views: Sequence[WorkerView], *, only: str | None = None) -> list[Row]:
    """One for each model of each worker, or of one worker."""
    return [_model_row(v, status) for v in views if only in (None, v.worker.name) for status in v.models]


def _model_row(view: WorkerView, status: ModelStatus) -> Row:
    steady = (
        f"{status.model} (default)" if status.is_default else status.model,
        view.worker.name,
        _model_state(status),
        str(status.users),
        _memory(status),
        str(status.waiting) if status.waiting else _UNKNOWN,
    )
    idle = duration(status.idle_ms / 1000) if status.idle_ms and not status.users else _UNKNOWN
    rest = (" ".join(status.languages) or _UNKNOWN, status.licence or _UNKNOWN)
    return Row(f"{view.worker.name} {status.model}", (*steady, idle, *rest), _STYLES[status.state], (*steady, *rest))


def _model_state(status: ModelStatus) -> str:
    if status.state != "failed":
        return status.state
    again = f"; tried again in {duration(status.retry_in_ms / 1000)}" if status.retry_in_ms else ""
    return f"failed: {status.reason}{again}"


def _memory(status: ModelStatus) -> str:
    """An adapter's own, and of a base that others stand on, by how many."""
    if not status.memory_mb:
        return _UNKNOWN
    if status.base is not None:
        return f"{status.memory_mb} MB on {status.base}"
    return f"{status.memory_mb} MB{f' for {status.shared_by} more' if status.shared_by else ''}"


def duration(seconds: float) -> str:
    """Roughly, in the two largest units that count."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def without_empty(columns: Sequence[str], rows: Sequence[Row]) -> list[int]:
    """Which columns say anything; the first four always do."""
    always = 4
    return [i for i in range(len(columns)) if i < always or any(row.cells[i] != _UNKNOWN for row in rows)]
