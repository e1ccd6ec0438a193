"""Has models loaded in the background, for sessions that speak with another one meanwhile. On the loop."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from actors import metrics
from actors.policies.patience import Patience
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import ModelId, WorkerName
from protocol.ports import Bus
from protocol.refusals import Refusal
from protocol.subjects import worker as worker_command
from protocol.workers import LoadModel, WorkerDescribed

LOAD_TIMEOUT_S: Final = 180.0
"""Gigabytes from a slow disk, behind another load."""

log = structlog.get_logger(__name__)


class Warmer:
    """One request for a model at a time, wherever it goes; growing pauses before a worker that failed is asked again.

    Nobody waits for it: the worker announces what it has loaded, and that is what sessions go by. Failures are logged
    with the worker's reason and counted, and told to who watches.

    Args:
        clock: monotonic seconds.

    Attributes:
        on_failed: called with the worker that could not load what it was asked for.
    """

    def __init__(self, bus: Bus, *, clock: Callable[[], float], timeout_s: float = LOAD_TIMEOUT_S) -> None:
        self.on_failed: Callable[[WorkerName], None] = lambda _: None
        self._bus = bus
        self._clock = clock
        self._timeout_s = timeout_s
        self._loading: dict[ModelId, asyncio.Task[None]] = {}
        self._patience = Patience()
        self._reasons: dict[ModelId, str] = {}

    def warm(self, worker: WorkerName, model: ModelId) -> None:
        """Ask for it, unless somebody is being asked already or this worker has just failed."""
        if model in self._loading or worker in self.unable(model):
            return
        task = asyncio.get_running_loop().create_task(self._load(worker, model), name=f"warm-{model}")
        self._loading[model] = task
        task.add_done_callback(lambda _: self._loading.pop(model, None))

    def unable(self, model: ModelId) -> frozenset[WorkerName]:
        """Workers that have failed to load it, and are not asked again yet."""
        return self._patience.resting(model, self._clock())

    def why_not(self, model: ModelId) -> str:
        """Why it could not be loaded when that was tried last; empty if it could, or was not tried."""
        return self._reasons.get(model, "")

    async def close(self) -> None:
        """Wait for no answer any more; what a worker has begun to load, it loads."""
        tasks = tuple(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, worker: WorkerName, model: ModelId) -> None:
        log.info("asking for a model", worker=worker, model=model)
        asked_at = self._clock()
        reason = await self._ask(worker, model)
        took_s = self._clock() - asked_at
        metrics.MODELS_WARMED.labels("loaded" if reason is None else "failed").inc()
        if reason is None:
            self._patience.succeeded(worker, model)
            self._reasons.pop(model, None)
            log.info("model is there", worker=worker, model=model, after_s=round(took_s, 1))
            return
        pause_s = self._patience.failed(worker, model, self._clock())
        log.warning("model not loaded", worker=worker, model=model, reason=reason, asked_again_in_s=pause_s)
        self._reasons[model] = reason
        self.on_failed(worker)

    async def _ask(self, worker: WorkerName, model: ModelId) -> str | None:
        """None once it is loaded, else what went wrong."""
        command = LoadModel(model=model)
        try:
            answer = await self._bus.request(worker_command(worker), command, timeout_s=self._timeout_s)
        except (BusUnavailable, MalformedMessage) as error:
            return str(error)
        if isinstance(answer, WorkerDescribed):
            return None
        if isinstance(answer, Refusal):
            return f"{answer.code}: {answer.reason}"
        return "the answer is none to this request"
