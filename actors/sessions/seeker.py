"""Looks for a worker until there is one: one attempt at a time, with growing pauses."""

from collections.abc import Awaitable, Callable
from typing import Final

from actors.sessions.chores import Chores
from protocol.errors import Refused

PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0)


class Seeker:
    """On the loop.

    Args:
        attempt: raises `Refused` when there is none.
    """

    def __init__(self, chores: Chores, attempt: Callable[[], Awaitable[None]]) -> None:
        self._chores = chores
        self._attempt = attempt
        self._failures = 0
        self._at_work = False
        self._again = False
        self._call_off: Callable[[], None] | None = None

    def seek(self) -> None:
        """Try now, instead of waiting any longer. An attempt that is under way is followed by another if it fails."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        self._again = self._at_work
        if not self._at_work:
            self._at_work = True
            self._chores.start(self._try())

    async def first(self, attempt: Awaitable[None]) -> None:
        """The attempt of somebody who wants to know why there is none. Nobody else looks meanwhile: there would be two.

        Raises:
            Refused: there is none.
        """
        self._at_work = True
        try:
            await attempt
        finally:
            self._at_work = False

    async def _try(self) -> None:
        try:
            await self._attempt()
        except Refused:
            pause = 0.0 if self._again else PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
            self._failures += 1
            self._call_off = self._chores.later(pause, self._wake)
        else:
            self._failures = 0
        finally:
            self._at_work = False

    def _wake(self) -> None:
        self._call_off = None
        self.seek()
