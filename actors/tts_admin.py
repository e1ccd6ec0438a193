"""What a TTS worker can be asked about itself, on `control.worker.<worker>.*`. On the loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from actors.models import ModelManager
from protocol.errors import Refused
from protocol.ports import Respond
from protocol.subjects import Subject
from protocol.workers import (
    Announcement,
    Drain,
    GetCapabilities,
    ListModels,
    LoadModel,
    ModelsListed,
    ReloadModel,
    UnloadModel,
    WorkerDescribed,
    WorkerRefused,
)


class Administration:
    """Answers with the worker as it is once the command was carried out."""

    def __init__(
        self,
        models: ModelManager,
        *,
        describe: Callable[[], Announcement],
        drain: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._models = models
        self._describe = describe
        self._drain = drain
        self._changed = changed
        self._doing: set[asyncio.Task[None]] = set()

    def on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        """Called by the bus."""
        match message:
            case LoadModel(model=model):
                self._do(self._models.load(model), respond)
            case UnloadModel(model=model):
                self._do(self._models.unload(model), respond)
            case ReloadModel(model=model):
                self._do(self._models.reload(model), respond)
            case Drain():
                self._drain()
                self._answer(respond)
            case GetCapabilities():
                self._answer(respond)
            case ListModels():
                if respond is not None:
                    respond(ModelsListed(worker=self._describe().name, models=self._models.statuses()))

    def stop(self) -> None:
        """Wait for no model any more."""
        for task in tuple(self._doing):
            task.cancel()

    def _do(self, request: Coroutine[Any, Any, None], respond: Respond | None) -> None:
        task = asyncio.get_running_loop().create_task(self._done(request, respond))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _done(self, request: Coroutine[Any, Any, None], respond: Respond | None) -> None:
        try:
            await request
        except Refused as error:
            self._refuse(respond, error)
        else:
            self._answer(respond)

    def _answer(self, respond: Respond | None) -> None:
        self._changed()
        if respond is not None:
            respond(WorkerDescribed(worker=self._describe()))

    def _refuse(self, respond: Respond | None, error: Refused) -> None:
        if respond is not None:
            respond(WorkerRefused(code=error.code, reason=error.reason[:1000]))
