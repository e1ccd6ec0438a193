"""Sound cut into a detector's windows, which wait in a bounded line. Pure.

One thread adds, another takes and says `rest`: what they share is a deque and a position, both read and written in one
step.
"""

from collections import deque
from typing import Final

import numpy as np

from protocol.ids import Samples

MAX_WAITING: Final = 16
"""Windows, half a second: what is older than that is no news."""
_SILENT_PEAK: Final = 32
"""Of 32,768, -60 dBFS: a muted microphone, a noise gate, a client that sends zeros."""


class Windowing:
    """20 ms frames in, whole windows out; when too many wait, the oldest is dropped and counted.

    While the detector is at rest, silent windows are not worth waking it: they are skipped and counted.
    """

    def __init__(self, window: Samples, *, max_waiting: int = MAX_WAITING) -> None:
        self._bytes = 2 * window
        self._waiting: deque[tuple[Samples, bytes]] = deque(maxlen=max_waiting)
        self._gathered = bytearray()
        self._position = Samples(0)
        self._last = Samples(-1)
        """The window that was put in line last."""
        self._rest_at = Samples(-2)
        self.dropped = 0
        self.skipped = 0

    def add(self, position: Samples, pcm: bytes) -> bool:
        """The next sound (s16le); True when another window is whole.

        What was heard before is ignored. After a gap a new window begins: one never spans two places.
        """
        expected = self._position + len(self._gathered) // 2
        if position > expected:
            self._gathered.clear()
            self._position = position
        self._gathered += pcm[2 * max(0, expected - position) :]
        whole = False
        while len(self._gathered) >= self._bytes:
            whole = self._put(bytes(self._gathered[: self._bytes])) or whole
            del self._gathered[: self._bytes]
            self._position = Samples(self._position + self._bytes // 2)
        return whole

    def _put(self, pcm: bytes) -> bool:
        if self._rest_at == self._last and _is_silent(pcm):
            self.skipped += 1
            return False
        self.dropped += len(self._waiting) == self._waiting.maxlen
        self._last = self._position
        self._waiting.append((self._position, pcm))
        return True

    def rest(self, position: Samples) -> None:
        """The detector found nothing for a while, up to and with this window; what else waits ends the rest."""
        self._rest_at = position

    def take(self) -> tuple[Samples, bytes] | None:
        """The oldest window that waits, with the position of its first sample."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def __len__(self) -> int:
        """How many windows wait."""
        return len(self._waiting)


def _is_silent(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, dtype="<i2")
    return bool(samples.max() <= _SILENT_PEAK and samples.min() >= -_SILENT_PEAK)
