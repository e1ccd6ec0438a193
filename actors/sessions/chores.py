"""The few things that a session waits for without holding anybody up: tasks and timers that end with it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from actors.sessions.ports import CallLater, Cancel

log = structlog.get_logger()


class Chores:
    """On the loop; `then` is called when a task is done, but for those that the session's end cuts short."""

    def __init__(self, call_later: CallLater) -> None:
        self.then: Callable[[], None] = lambda: None
        self._call_later = call_later
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[object, Cancel] = {}
        self.closed = False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        if self.closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def later(self, delay_s: float, call: Callable[[], None]) -> Cancel:
        """Call this in a while, unless the session ends before."""
        key = object()

        def fire() -> None:
            self._timers.pop(key, None)
            if not self.closed:
                call()

        cancel = self._call_later(max(0.0, delay_s), fire)
        self._timers[key] = cancel

        def forget() -> None:
            if self._timers.pop(key, None) is not None:
                cancel()

        return forget

    async def close(self) -> None:
        """End all of it."""
        self.closed = True
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()
        mine = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session chore failed", exc_info=error)
        if not self.closed:
            self.then()
