"""What `antiphon workers` and `antiphon models` are made of: the registry's view, and requests to workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from actors.bootstrap.advice import advised
from actors.bootstrap.bus import connect
from actors.bootstrap.registry import open_registry
from actors.fleet import Fleet
from actors.logs import configure_logging
from actors.policies.steering import holders, status_of, where_to_load
from actors.settings import GatewaySettings
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.ports import WorkerView
from protocol.workers import Announcement, ModelStatus

_FIRST_NEWS_S: Final = 1.5
_QUIET_S: Final = 0.15
"""The registry tells of all workers at once; after this long without news, of all that there are."""
_TICK_S: Final = 1.0
_LEAST_PAUSE_S: Final = 0.1

Show = Callable[[Sequence[WorkerView], bool], None]
"""Called with all workers, and whether there is a connection to the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What became of a model at a worker."""

    worker: WorkerName
    model: ModelStatus
    took_s: float = 0.0
    was_so_before: bool = False


class _Settling:
    """Waits until the registry has told of all workers, or of one."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._news = asyncio.Event()

    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        self._fleet.on_worker(name, announcement)
        self._news.set()

    async def settle(self, needed: WorkerName | None) -> None:
        deadline = time.monotonic() + _FIRST_NEWS_S
        within = _FIRST_NEWS_S
        while (left := min(within, deadline - time.monotonic())) > 0:
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return
            names = {view.worker.name for view in self._fleet.workers()}
            within = _QUIET_S if needed is None or needed in names else _FIRST_NEWS_S


@asynccontextmanager
async def _operating(
    where: GatewaySettings, worker: WorkerName | None = None
) -> AsyncIterator[tuple[Fleet, Callable[[], bool]]]:
    """All workers, or at least this one if it is there; and whether the bus is connected."""
    configure_logging("critical")  # what an operator has to know is told by the command itself
    bus = await connect(where.nats, name="operator")
    try:
        registry = open_registry(where.registry, bus, where.redis)
        fleet = Fleet(bus, registry)
        try:
            settling = _Settling(fleet)
            await registry.watch(settling.on_worker)
            await settling.settle(worker)
            yield fleet, lambda: bus.is_connected
        finally:
            await fleet.close()
            await registry.close()
    finally:
        await bus.close()


async def show_workers(where: GatewaySettings, show: Show, *, watch: bool, needed: WorkerName | None = None) -> None:
    """Show all workers and their models once, or at each change and each second until cancelled.

    Raises:
        Refused: the worker that is needed is not there.
        BusUnavailable: no server answers, or it has no registry.
    """
    async with _operating(where, needed) as (fleet, is_connected):
        await fleet.refresh()
        if needed is not None:
            fleet.worker(needed)
        show(fleet.workers(), is_connected())
        if not watch:
            return
        async for _ in _changes(fleet):
            show(fleet.workers(), is_connected())


async def drain(
    where: GatewaySettings, name: WorkerName, *, wait: bool, on_progress: Callable[[WorkerView], None]
) -> Announcement | None:
    """Drain a worker, and wait until it is gone; returns its successor of the same name, if it has one by then.

    Raises:
        Refused: there is no such worker, or it does not answer.
        BusUnavailable: no server answers.
    """
    async with _operating(where, name) as (fleet, _):
        drained = await fleet.drain(name)
        on_progress(drained)
        if not wait:
            return None
        async for _ in _changes(fleet):
            now = next((view for view in fleet.workers() if view.worker.name == name), None)
            if now is None or now.worker.started_at != drained.worker.started_at:
                return None if now is None else now.worker
            on_progress(now)
    return None


async def load(
    where: GatewaySettings, model: ModelId, worker: WorkerName | None, on_begin: Callable[[WorkerName], None]
) -> Steered:
    """Make a model resident at this worker, or anywhere: where it is already, else where there is most room.

    Raises:
        Refused: nobody knows it, or the worker's reason.
        BusUnavailable: no server answers.
    """
    async with _operating(where, worker) as (fleet, _):
        await fleet.refresh()
        there = holders(fleet.workers() if worker is None else [fleet.worker(worker)], model)
        if there:
            return Steered(worker=there[0].worker.name, model=_status(there[0], model), was_so_before=True)
        began = time.monotonic()
        try:
            target = worker or where_to_load(fleet.workers(), model).worker.name
            on_begin(target)
            view = await fleet.load(target, model)
        except Refused as refused:
            raise advised(refused, model) from None
        return Steered(worker=target, model=_status(view, model), took_s=time.monotonic() - began)


async def unload(where: GatewaySettings, model: ModelId, worker: WorkerName | None) -> list[Steered]:
    """Give a model's memory back at this worker, or at all that have it.

    Raises:
        Refused: the reason of the first worker that keeps it; the others have given it back.
        BusUnavailable: no server answers.
    """
    async with _operating(where, worker) as (fleet, _):
        await fleet.refresh()
        chosen = holders(fleet.workers(), model) if worker is None else [fleet.worker(worker)]
        if not chosen:
            raise Refused("not-loaded", f"no worker has {model} in memory")
        before = {view.worker.name: status_of(view, model) for view in chosen}
        names = [view.worker.name for view in chosen]
        done = await asyncio.gather(*(fleet.unload(name, model) for name in names), return_exceptions=True)
        _raise_first(done)
        return [
            Steered(worker=name, model=found, was_so_before=found.state != "resident")
            for name in names
            if (found := before[name]) is not None
        ]


async def reload(where: GatewaySettings, model: ModelId | None, worker: WorkerName | None) -> list[WorkerName]:
    """Let this worker, or all TTS workers, read their voice packs anew, and load `model` anew where it is known.

    Raises:
        Refused: the reason of the first worker that does not.
        BusUnavailable: no server answers.
    """
    async with _operating(where, worker) as (fleet, _):
        views = fleet.workers() if worker is None else [fleet.worker(worker)]
        chosen = [view.worker for view in views if worker or (view.worker.kind == "tts" and view.answers)]
        names = [found.name for found in chosen if worker or model is None or model in found.models]
        if not names:
            raise Refused("no-worker", "there is no TTS worker" + (f" that knows {model}" if model else ""))
        _raise_first(await asyncio.gather(*(fleet.reload(name, model) for name in names), return_exceptions=True))
        return names


async def _changes(fleet: Fleet) -> AsyncIterator[None]:
    """At each change of a worker, and each second, but not ten times a second."""
    changed = asyncio.Event()
    end = fleet.watch(changed.set)
    try:
        while True:
            try:
                async with asyncio.timeout(_TICK_S):
                    await changed.wait()
            except TimeoutError:
                pass  # a tick: what shows times has news
            changed.clear()
            yield
            await asyncio.sleep(_LEAST_PAUSE_S)
    finally:
        end()


def _status(view: WorkerView, model: ModelId) -> ModelStatus:
    """Of a model that the worker has just been steered about."""
    return status_of(view, model) or ModelStatus(model=model, state="resident")


def _raise_first(done: Sequence[Any]) -> None:
    for result in done:
        if isinstance(result, BaseException):
            raise result
