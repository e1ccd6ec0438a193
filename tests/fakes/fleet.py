"""Workers that answer operators on a bus, and a whole fleet as the gateway's HTTP side sees one."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from protocol.errors import Refused
from protocol.ids import ModelId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus, Respond, Subscription, WorkerRegistry, WorkerView
from protocol.subjects import Subject
from protocol.subjects import worker as worker_subject
from protocol.workers import (
    Announcement,
    Drain,
    ListModels,
    LoadModel,
    ModelsListed,
    ModelStatus,
    ReloadModel,
    UnloadModel,
    WorkerDescribed,
    WorkerRefused,
)

HEART, JOE = ModelId("hibari-heart"), ModelId("piper-joe")


def announcement(name: str = "tts-0", **fields: Any) -> Announcement:
    """Of a TTS worker that knows two models and has one in memory."""
    given: dict[str, Any] = {
        "addr": f"nats://{name}",
        "models": (HEART, JOE),
        "resident_models": (HEART,),
        "started_at": UnixMicros(1),
        **fields,
    }
    return Announcement(name=WorkerName(name), **given)


def statuses(worker: Announcement, **users: int) -> tuple[ModelStatus, ...]:
    """Of all models of a worker; `users` by the model's last word."""
    return tuple(
        ModelStatus(
            model=model,
            state="resident" if model in worker.resident_models else "known",
            title=str(model).title(),
            languages=("en",),
            users=users.get(model.rpartition("-")[2], 0),
            memory_mb=60 if model in worker.resident_models else 0,
            is_default=model == worker.models[0],
        )
        for model in worker.models
    )


class OperatedWorker:
    """A worker on a bus that does what operators ask. While `hold` is clear, loading does not end."""

    def __init__(self, bus: Bus, registry: WorkerRegistry, announced: Announcement, **users: int) -> None:
        self._bus = bus
        self._registry = registry
        self._users = users
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: ModelId | None = None
        self._subscription: Subscription | None = None
        self.announced = announced
        self.silent = False
        self.asked: list[Message] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def start(self) -> "OperatedWorker":
        """Announce and listen."""
        self._subscription = await self._bus.subscribe(worker_subject(self.announced.name), self._on_command)
        await self._registry.announce(self.announced)
        return self

    async def end(self) -> None:
        """Be gone."""
        if self._subscription is not None:
            self._subscription.cancel()
        await self._registry.withdraw(self.announced.name)

    async def change(self, **fields: Any) -> None:
        """Announce something new."""
        self.announced = replace(self.announced, **fields)
        await self._registry.announce(self.announced)

    def use(self, **users: int) -> None:
        """Let so many sessions speak with a model."""
        self._users = users

    def _on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        self.asked.append(message)
        if self.silent or respond is None:
            return
        task = asyncio.get_running_loop().create_task(self._answer(message, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Message, respond: Respond) -> None:
        match message:
            case ListModels():
                listed = tuple(
                    replace(s, state="loading") if s.model == self._loading else s
                    for s in statuses(self.announced, **self._users)
                )
                respond(ModelsListed(worker=self.announced.name, models=listed))
            case LoadModel(model=model) if model not in self.announced.models:
                respond(WorkerRefused(code="no-such-model", reason=f"there is no voice {model} here"))
            case LoadModel(model=model):
                self._loading = model
                await self.hold.wait()
                self._loading = None
                await self.change(resident_models=tuple({*self.announced.resident_models, model}))
                respond(WorkerDescribed(worker=self.announced))
            case UnloadModel(model=model) if users := self._users.get(model.rpartition("-")[2]):
                respond(WorkerRefused(code="model-in-use", reason=f"{users} sessions speak with {model}"))
            case UnloadModel(model=model):
                left = tuple(m for m in self.announced.resident_models if m != model)
                await self.change(resident_models=left)
                respond(WorkerDescribed(worker=self.announced))
            case Drain():
                await self.change(state="draining")
                respond(WorkerDescribed(worker=self.announced))
            case ReloadModel():
                respond(WorkerDescribed(worker=self.announced))


class FakeFleet:
    """Implements `protocol.ports.WorkerFleet`: keeps what it is asked, and refuses what `refusal` says."""

    def __init__(self, *views: WorkerView, refusal: Refused | None = None) -> None:
        self.views = list(views)
        self.asked: list[tuple[str, WorkerName, ModelId | None]] = []
        self.refusal = refusal
        self.watchers: list[Callable[[], None]] = []
        self.refreshed = 0

    def workers(self) -> Sequence[WorkerView]:
        return list(self.views)

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        assert max_age_s >= 0
        self.refreshed += 1

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(on_change)
        return lambda: self.watchers.remove(on_change)

    def change(self, *views: WorkerView) -> None:
        """Tell everybody who watches."""
        self.views = list(views)
        for watcher in tuple(self.watchers):
            watcher()

    async def load(self, worker: WorkerName, model: ModelId) -> WorkerView:
        return self._do("load", worker, model)

    async def unload(self, worker: WorkerName, model: ModelId) -> WorkerView:
        return self._do("unload", worker, model)

    async def drain(self, worker: WorkerName) -> WorkerView:
        return self._do("drain", worker, None)

    def _do(self, what: str, worker: WorkerName, model: ModelId | None) -> WorkerView:
        self.asked.append((what, worker, model))
        if self.refusal is not None:
            raise self.refusal
        return next(view for view in self.views if view.worker.name == worker)


def view(name: str = "tts-0", **fields: Any) -> WorkerView:
    """A worker that has told its models."""
    worker = announcement(name, **fields)
    return WorkerView(worker=worker, models=statuses(worker))
