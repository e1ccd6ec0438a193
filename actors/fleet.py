"""Workers and their models, as operators see and steer them. Everything runs on the loop."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from actors.fleet_models import ToldModels
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.ids import ModelId, WorkerName
from protocol.message import Message
from protocol.ports import Bus, WorkerRegistry, WorkerView
from protocol.subjects import worker as worker_subject
from protocol.workers import Announcement, Drain, LoadModel, ReloadModel, UnloadModel, WorkerDescribed

_ANSWER_S: Final = 2.0
_LOAD_S: Final = 120.0
"""A model of some gigabytes from a slow disk, after those that are loaded before it."""
_UNLOAD_S: Final = 15.0
"""It ends after what it is computing."""
_ASK_EVERY_S: Final = 1.0
_LEAST_PAUSE_S: Final = 0.2


class Fleet:
    """Implements `protocol.ports.WorkerFleet` over the registry's view and requests to the workers.

    Whoever watches the registry hands its news to `on_worker`. Workers are asked for their models once a second while
    anybody watches, and when somebody wants to know.
    """

    def __init__(
        self,
        bus: Bus,
        registry: WorkerRegistry,
        *,
        answer_s: float = _ANSWER_S,
        load_s: float = _LOAD_S,
        unload_s: float = _UNLOAD_S,
        ask_every_s: float = _ASK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`answer_s` bounds each question, and commands but for those that load and unload models."""
        self._bus = bus
        self._registry = registry
        self._answer_s = answer_s
        self._load_s = load_s
        self._unload_s = unload_s
        self._ask_every_s = ask_every_s
        self._models = ToldModels(bus, registry, answer_s=answer_s, clock=clock, on_change=self._tell)
        self._watchers: list[Callable[[], None]] = []
        self._polling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._commands: dict[asyncio.Future[Any], Announcement] = {}

    # --- seeing ------------------------------------------------------------------------------------------------------
    def workers(self) -> Sequence[WorkerView]:
        """Those alive now, by name."""
        return [self._models.view(worker) for worker in sorted(self._registry.snapshot(), key=lambda w: w.name)]

    def worker(self, name: WorkerName) -> WorkerView:
        """One of them.

        Raises:
            Refused: `no-such-worker`, with the names that there are.
        """
        return self._models.view(self._announced(name))

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        """Ask all of them for their models, but for those that told less than `max_age_s` ago."""
        if asked := self._models.ask_all(max_age_s=max_age_s):
            await asyncio.wait(asked)

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call this at each change, models' included, until the result is called."""
        self._watchers.append(on_change)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name="fleet-poll")

        def end() -> None:
            if on_change in self._watchers:
                self._watchers.remove(on_change)
            self._wake.set()

        return end

    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """The registry's news of a worker; None: it is gone."""
        for command, asked in tuple(self._commands.items()):
            if asked.name == name and (announcement is None or announcement.started_at != asked.started_at):
                command.cancel()
        if announcement is None:
            self._models.forget(name)
        self._tell()
        self._wake.set()

    # --- steering ----------------------------------------------------------------------------------------------------
    async def load(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Make a model resident; returns once it is.

        Raises:
            Refused: `no-such-worker`, `no-answer`, or what the worker says.
        """
        return await self._steer(worker, LoadModel(model=model), self._load_s)

    async def unload(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Give a model's memory back. Raises like `load`."""
        return await self._steer(worker, UnloadModel(model=model), self._unload_s)

    async def reload(self, worker: WorkerName, model: ModelId | None = None) -> WorkerView:
        """Let it read its voice packs anew, and load this model anew. Raises like `load`."""
        return await self._steer(worker, ReloadModel(model=model), self._load_s)

    async def drain(self, worker: WorkerName) -> WorkerView:
        """Let it finish and end; returns once it has understood. Raises like `load`."""
        return await self._steer(worker, Drain(), self._answer_s)

    async def close(self) -> None:
        """Ask nobody any more, and wait for no answer."""
        self._watchers.clear()
        tasks = [*self._commands, *([self._polling] if self._polling is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._models.close()

    # --- inside ------------------------------------------------------------------------------------------------------
    def _announced(self, name: WorkerName) -> Announcement:
        workers = self._registry.snapshot()
        found = next((worker for worker in workers if worker.name == name), None)
        if found is None:
            there_are = ", ".join(sorted(worker.name for worker in workers)) or "none"
            raise Refused("no-such-worker", f"there is no worker {name}; there are: {there_are}"[:1000])
        return found

    async def _steer(self, name: WorkerName, command: Message, within_s: float) -> WorkerView:
        worker = self._announced(name)
        reply = await self._command(worker, command, within_s)
        if reply is None:
            if isinstance(command, Drain):
                return replace(self._models.view(worker), worker=replace(worker, state="draining"))
            raise Refused("no-answer", f"{name} has ended before it answered")
        if getattr(reply, "type", "") == "refused":  # on the wire all refusals look alike, whichever class this became
            raise Refused(reply.code, reply.reason)
        await self._models.hear(worker)
        return self._models.view(reply.worker if isinstance(reply, WorkerDescribed) else worker)

    async def _command(self, worker: Announcement, command: Message, within_s: float) -> Any:
        """The worker's reply; None when it went without one."""
        asking = asyncio.ensure_future(self._bus.request(worker_subject(worker.name), command, timeout_s=within_s))
        self._commands[asking] = worker
        self._wake.set()  # what the worker does now is seen at once
        try:
            await asyncio.wait((asking,))
            return None if asking.cancelled() else asking.result()
        except (BusUnavailable, MalformedMessage) as error:
            raise Refused("no-answer", f"{worker.name} does not answer: {error}"[:1000]) from error
        finally:
            del self._commands[asking]
            asking.cancel()

    async def _poll(self) -> None:
        while self._watchers:
            self._wake.clear()
            self._models.ask_all()
            await asyncio.sleep(min(_LEAST_PAUSE_S, self._ask_every_s))
            try:
                async with asyncio.timeout(self._ask_every_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()
