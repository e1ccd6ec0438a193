"""When a worker announces itself: at once when something has changed, but never in a flood. On the loop."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from protocol.ports import WorkerRegistry
from protocol.workers import Announcement

TICK_S: Final = 2.0
"""How often it looks by itself: for what changes without anybody's saying so, such as its load."""
REST_S: Final = 0.1
"""After an announcement the next one waits so long: a hundred sessions that open at once are told by two of them."""


class _Timer(Protocol):
    def cancel(self) -> None:
        """Don't."""


class Announcing:
    """Announces what `describe` returns, whenever it is something else than before."""

    def __init__(
        self,
        registry: WorkerRegistry,
        describe: Callable[[], Announcement],
        *,
        call_later: Callable[[float, Callable[[], None]], _Timer] | None = None,
    ) -> None:
        """`call_later`: the loop's, if None."""
        self._registry = registry
        self._describe = describe
        self._call_later = call_later
        self._announced: Announcement | None = None
        self._due = asyncio.Event()
        self._changed = False
        self._rest: _Timer | None = None
        self._tick: _Timer | None = None

    def wake(self) -> None:
        """Something has changed, or may have."""
        self._changed = True
        if self._rest is None:
            self._due.set()

    async def serve(self, stop: asyncio.Event, *, is_over: Callable[[], bool]) -> None:
        """Announce until told to stop, or until it is over, which is asked before each look."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set() and not is_over():
                await self._look()
                due = asyncio.create_task(self._due.wait())
                await asyncio.wait((stopping, due), return_when=asyncio.FIRST_COMPLETED)
                due.cancel()
        finally:
            stopping.cancel()
            for timer in (self._rest, self._tick):
                if timer is not None:
                    timer.cancel()

    async def _look(self) -> None:
        self._due.clear()
        self._changed = False
        if self._tick is not None:
            self._tick.cancel()
        self._tick = self._later(TICK_S, self.wake)
        described = self._describe()
        if described == self._announced:
            return
        self._announced = described
        if self._rest is None:
            self._rest = self._later(REST_S, self._rested)
        await self._registry.announce(described)

    def _rested(self) -> None:
        self._rest = None
        if self._changed:
            self._due.set()

    def _later(self, wait_s: float, call: Callable[[], None]) -> _Timer:
        later = self._call_later or asyncio.get_running_loop().call_later
        return later(wait_s, call)
