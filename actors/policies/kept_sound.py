"""What a recognizer is to hear of a session, kept for one that comes later. Pure."""

from collections import deque
from typing import Final

from protocol.audio import MIC_RATE, Frame
from protocol.ids import Samples

KEPT: Final = Samples(30 * MIC_RATE)
"""As much as a recognizer holds (`actors.policies.listening.RING`)."""


class KeptSound:
    """The frames of the last seconds in the order of their positions, and how far they have been sent.

    Frames come with rising positions. Between them may be silence that nobody keeps: an idle session holds some 30
    frames, one that is spoken in without a pause 1,500.
    """

    def __init__(self, span: Samples = KEPT) -> None:
        self._span = span
        self._sent: deque[Frame] = deque()
        self._unsent: deque[Frame] = deque()

    def __len__(self) -> int:
        """How many frames."""
        return len(self._sent) + len(self._unsent)

    @property
    def next(self) -> Frame | None:
        """The frame to send next, if there is one."""
        return self._unsent[0] if self._unsent else None

    def keep(self, frame: Frame) -> int:
        """Keep this one, and nothing that lies more than the span before its end; how many go that never were sent."""
        oldest = frame.end - self._span
        while self._sent and self._sent[0].position < oldest:
            self._sent.popleft()
        lost = 0
        while self._unsent and self._unsent[0].position < oldest:  # then nothing older is kept among those sent
            self._unsent.popleft()
            lost += 1
        self._unsent.append(frame)
        return lost

    def note_sent(self) -> None:
        """What `next` gave is on its way."""
        self._sent.append(self._unsent.popleft())

    def rewind(self) -> None:
        """Send all of it, from the oldest on."""
        while self._sent:
            self._unsent.appendleft(self._sent.pop())
