"""What workers tell of their models when they are asked. On the loop."""

import asyncio
import dataclasses
from collections.abc import Callable

import structlog

from actors.policies.steering import announced_models, lasting_of
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import UnixMicros, WorkerName
from protocol.ports import Bus, WorkerRegistry, WorkerView
from protocol.subjects import worker as worker_subject
from protocol.workers import Announcement, ListModels, ModelsListed, ModelStatus, WorkerDescribed

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    started_at: UnixMicros
    models: tuple[ModelStatus, ...]
    at: float
    answers: bool


class ToldModels:
    """Keeps the last answer of each worker; `on_change` is called when one is news."""

    def __init__(
        self,
        bus: Bus,
        registry: WorkerRegistry,
        *,
        answer_s: float,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._answer_s = answer_s
        self._clock = clock
        self._on_change = on_change
        self._told: dict[WorkerName, _Told] = {}
        self._asking: dict[WorkerName, asyncio.Task[None]] = {}

    def view(self, worker: Announcement) -> WorkerView:
        """With what it told itself, or else with what its announcement says."""
        told = self._told.get(worker.name)
        if told is None or told.started_at != worker.started_at:
            return WorkerView(worker=worker, models=announced_models(worker))
        return WorkerView(worker=worker, models=told.models or announced_models(worker), answers=told.answers)

    def ask_all(self, *, max_age_s: float = 0.0) -> list[asyncio.Task[None]]:
        """One question at a time for each, so that one that hangs keeps nobody else waiting.

        Who told less than `max_age_s` ago is spared.
        """
        oldest = self._clock() - max_age_s
        for worker in self._registry.snapshot():
            told = self._told.get(worker.name)
            is_due = told is None or told.at <= oldest
            if is_due and worker.name not in self._asking:
                self._asking[worker.name] = asyncio.create_task(self._ask(worker), name=f"models-of-{worker.name}")
        return list(self._asking.values())

    async def hear(self, worker: Announcement) -> None:
        """Ask for the models, and keep the answer."""
        try:
            reply = await self._bus.request(worker_subject(worker.name), ListModels(), timeout_s=self._answer_s)
        except (BusUnavailable, MalformedMessage) as error:
            log.debug("a worker does not tell its models", worker=worker.name, reason=str(error))
            before = self._told.get(worker.name)
            self._keep(worker, before.models if before is not None else (), answers=False)
            return
        match reply:
            case ModelsListed(models=models):
                self._keep(worker, models, answers=True)
            case WorkerDescribed(worker=described):  # a worker with one model has nothing more to tell
                self._keep(worker, announced_models(described), answers=True)
            case _:
                self._keep(worker, announced_models(worker), answers=True)

    def forget(self, name: WorkerName) -> None:
        """It is gone; what a successor has, it will tell."""
        self._told.pop(name, None)

    async def close(self) -> None:
        """Wait for no answer any more."""
        for task in tuple(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask(self, worker: Announcement) -> None:
        try:
            await self.hear(worker)
        finally:
            self._asking.pop(worker.name, None)

    def _keep(self, worker: Announcement, models: tuple[ModelStatus, ...], *, answers: bool) -> None:
        if not any(w.name == worker.name and w.started_at == worker.started_at for w in self._registry.snapshot()):
            return  # it went meanwhile
        before = self._told.get(worker.name)
        self._told[worker.name] = _Told(worker.started_at, models, self._clock(), answers)
        if before is None or (lasting_of(before.models), before.answers) != (lasting_of(models), answers):
            self._on_change()
