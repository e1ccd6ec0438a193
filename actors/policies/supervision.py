"""When a part that ended is started again. Pure: seconds of a monotonic clock come in."""

from typing import Final

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
STEADY_AFTER_S: Final = 20.0
_GROWTH: Final = 3.0


class Supervision:
    """Growing pauses for one part: the first fault is mended at once, a part that cannot live is not a busy loop.

    After a part has run for 20 s it counts as steady, and its next pause is the shortest again.
    """

    def __init__(
        self,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        steady_after_s: float = STEADY_AFTER_S,
    ) -> None:
        self._first_s = first_pause_s
        self._longest_s = longest_pause_s
        self._steady_s = steady_after_s
        self._next_s = first_pause_s
        self._started_at: float | None = None
        self._restarts = 0

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._restarts

    def started(self, now: float) -> None:
        """It runs from now on."""
        self._started_at = now

    def ended(self, now: float) -> float:
        """It has ended, or could not be started: how many seconds to wait before the next attempt."""
        if self._started_at is not None and now - self._started_at >= self._steady_s:
            self._next_s = self._first_s
        self._started_at = None
        self._restarts += 1
        pause, self._next_s = self._next_s, min(self._next_s * _GROWTH, self._longest_s)
        return pause
