"""Something is not done again before a while has passed."""

from collections.abc import Callable
from typing import Final

from actors.sessions.chores import Chores

REST_S: Final = 5.0


class Rest:
    """On the loop.

    Args:
        then: called when it is over by itself.
    """

    def __init__(self, chores: Chores, *, then: Callable[[], None] = lambda: None) -> None:
        self._chores = chores
        self._then = then
        self._call_off: Callable[[], None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether it is too early."""
        return self._call_off is not None

    def begin(self) -> None:
        """From now on. Harmless when it is under way."""
        if self._call_off is None:
            self._call_off = self._chores.later(REST_S, self._over)

    def end(self) -> None:
        """There is a reason not to wait any longer. Harmless when it is not under way."""
        call_off, self._call_off = self._call_off, None
        if call_off is not None:
            call_off()

    def _over(self) -> None:
        self._call_off = None
        self._then()
