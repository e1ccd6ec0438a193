"""What a TTS worker has measured of itself."""

from collections import deque
from statistics import median
from typing import Final

from protocol.workers import Load

_REMEMBERED: Final = 50


class Measures:
    """The latest computing times, sounds and first frames."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._first_audio_ms: deque[float] = deque(maxlen=_REMEMBERED)

    def made(self, compute_s: float, sound_s: float) -> None:
        """A chunk took so long, and sounds so long."""
        self._spent.append((compute_s, sound_s))

    def first_audio(self, waited_ms: float) -> None:
        """From a turn's first text to its first frame."""
        self._first_audio_ms.append(waited_ms)

    def load(self, *, queue_depth: int, waiting: int = 0) -> Load:
        """For the announcement; 0 where nothing was measured yet. See `Load`."""
        computed, sounded = sum(c for c, _ in self._spent), sum(s for _, s in self._spent)
        return Load(
            rtf=round(computed / sounded, 3) if sounded else 0.0,
            queue_depth=queue_depth,
            waiting=waiting,
            p50_first_audio_ms=round(median(self._first_audio_ms), 1) if self._first_audio_ms else 0.0,
        )
