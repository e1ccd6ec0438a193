"""Sound cut into a detector's windows, which wait in a bounded line. Pure.

One thread adds, another takes: appending to a deque and popping from it are atomic, and nothing else is shared.
"""

from collections import deque
from typing import Final

from protocol.ids import Samples

MAX_WAITING: Final = 16
"""Windows, half a second: what is older than that is no news."""


class Windowing:
    """20 ms frames in, whole windows out; when too many wait, the oldest is dropped and counted."""

    def __init__(self, window: Samples, *, max_waiting: int = MAX_WAITING) -> None:
        self._bytes = 2 * window
        self._waiting: deque[tuple[Samples, bytes]] = deque(maxlen=max_waiting)
        self._gathered = bytearray()
        self._position = Samples(0)
        self.dropped = 0

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
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((self._position, bytes(self._gathered[: self._bytes])))
            del self._gathered[: self._bytes]
            self._position = Samples(self._position + self._bytes // 2)
            whole = True
        return whole

    def take(self) -> tuple[Samples, bytes] | None:
        """The oldest window that waits, with the position of its first sample."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def __len__(self) -> int:
        """How many windows wait."""
        return len(self._waiting)
