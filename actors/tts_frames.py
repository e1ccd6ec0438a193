"""The frames of one turn between the model and the gateway: those to come, and the last second of those sent."""

from collections import deque
from typing import Final

from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.ids import Samples, TurnId, UnixMicros

KEPT_FRAMES: Final = 50
"""One second, five times what may be on its way."""


class TurnFrames:
    """A queue with a place in it that can be moved back."""

    def __init__(self, turn: TurnId) -> None:
        self._turn = turn
        self._frames: deque[bytes] = deque()
        self._first = 0
        self._next = 0
        self._furthest = 0
        self._closed = False

    def add(self, frames: list[bytes]) -> None:
        """What the model made next."""
        self._frames.extend(frames)

    def close(self) -> None:
        """The last frame was added."""
        self._closed = True

    @property
    def ready(self) -> int:
        """How many frames wait."""
        return self._first + len(self._frames) - self._next

    @property
    def next_sample(self) -> Samples:
        """The first one that has not left."""
        return Samples(self._next * SPEECH_FRAME)

    @property
    def closed(self) -> bool:
        """Whether all was made."""
        return self._closed

    @property
    def finished(self) -> bool:
        """Whether the last frame has left."""
        return self._closed and not self.ready

    def peek(self, at: UnixMicros) -> Frame:
        """The next frame, leaving now. Only when one is ready."""
        last = self._closed and self.ready == 1
        flags = (Flags.FIRST if self._next == 0 else Flags.NONE) | (Flags.LAST if last else Flags.NONE)
        return Frame(
            kind=Kind.SPEECH,
            turn=self._turn,
            sequence=self._next,
            position=self.next_sample,
            captured_at=at,
            pcm=self._frames[self._next - self._first],
            flags=flags,
        )

    def advance(self) -> bool:
        """It has left; whether it had before."""
        again = self._next < self._furthest
        self._next += 1
        self._furthest = max(self._furthest, self._next)
        if self._next - self._first > KEPT_FRAMES:
            self._frames.popleft()
            self._first += 1
        return again

    def move_to(self, position: Samples) -> bool:
        """Go on with the frame that holds this sample; False when it is no longer kept or has not left yet."""
        wanted = position // SPEECH_FRAME
        if not self._first <= wanted <= self._next:
            return False
        self._next = wanted
        return True
