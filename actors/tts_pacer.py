"""The 20 ms grid of a TTS worker: one timer for all its streams, without drift."""

from collections.abc import Callable
from typing import Final, Protocol

from protocol.audio import FRAME_MS

GRID_S: Final = FRAME_MS / 1000
MOST_MADE_UP: Final = 10
CallAt = Callable[[float, Callable[[], None]], "Timer"]


class Timer(Protocol):
    """What a loop's `call_at` returns."""

    def cancel(self) -> None:
        """Don't."""


class Paced(Protocol):
    """A stream on the grid."""

    def tick(self, now: float, points: int) -> bool:
        """Send what is due, `points` grid points after the last tick; False when there is nothing more to send."""


class Pacer:
    """Ticks while a stream needs it, always on the same grid. On the loop."""

    def __init__(self, *, clock: Callable[[], float], call_at: CallAt) -> None:
        self._clock = clock
        self._call_at = call_at
        self._origin = clock()
        self._point = 0
        self._streams: dict[Paced, None] = {}
        self._timer: Timer | None = None

    def wake(self, stream: Paced) -> None:
        """Tick this stream from the next grid point on. Harmless when repeated."""
        self._streams[stream] = None
        if self._timer is None:
            self._schedule()

    def rest(self, stream: Paced) -> None:
        """Tick it no more."""
        self._streams.pop(stream, None)

    def stop(self) -> None:
        """Tick nobody."""
        self._streams.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        """At the first grid point that lies ahead and had no tick. A timer may be a little early, its point is over."""
        self._point = max(self._passed(self._clock()), self._point) + 1
        self._timer = self._call_at(self._origin + self._point * GRID_S, self._tick)

    def _passed(self, now: float) -> int:
        return int((now - self._origin) / GRID_S + 1e-6)

    def _tick(self) -> None:
        """The points that a busy loop has missed are made up for: the streams keep their rate."""
        now = self._clock()
        self._timer = None
        points = 1 + min(max(self._passed(now) - self._point, 0), MOST_MADE_UP)
        for stream in tuple(self._streams):
            if not stream.tick(now, points):
                self._streams.pop(stream, None)
        if self._streams:
            self._schedule()
