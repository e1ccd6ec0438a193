"""A client's own small buffer in front of its loudspeaker. Pure.

The gateway sends at most 60 ms ahead and has a gate of its own; this one obeys the same commands, so that what is
already here falls silent and goes on with it. The gateway's fades (COMFORT frames) are left out: they were made for
what left the gateway, and a cut here is made, and faded, at what leaves the loudspeaker.
"""

from collections import deque
from typing import Final

from actors.policies.fades import fade_in, fade_out, fade_out_from_level
from protocol.audio import Flags, Frame
from protocol.conversation import Flush, Hold, Release
from protocol.ids import Samples, TurnId

LEAD_FRAMES: Final = 2
"""Frames to gather before a turn begins to sound: 40 ms are the network's jitter and ours."""
_MAX_FRAMES: Final = 100
"""Two seconds: a gateway that sends more ahead does not pace, and the oldest go."""


class Earpiece:
    """Frames in, 20 ms of sound out, each sample once and in order."""

    def __init__(self, *, lead_frames: int = LEAD_FRAMES) -> None:
        self._lead = lead_frames
        self._queue: deque[Frame] = deque()
        self._turn = TurnId(0)
        self._played = Samples(0)
        self._taken = Samples(0)
        self._over = TurnId(0)
        """This turn and older ones are not played any more."""
        self._held = False
        self._flowing = False
        self._last: bytes | None = None
        """What sounded in the last 20 ms; None for silence."""
        self._heard = b""
        """The last frame played, to come back in from."""
        self._fade_in_due = False
        self._farewell: bytes | None = None
        self.underruns = 0

    @property
    def turn(self) -> TurnId:
        """The reply that is played or was played last."""
        return self._turn

    @property
    def played(self) -> Samples:
        """How much of it has gone to the loudspeaker; fades do not count."""
        return self._played

    @property
    def held(self) -> bool:
        """Whether the gateway asked for silence for now."""
        return self._held

    @property
    def silent(self) -> bool:
        """Whether nothing is here to be played."""
        return not self._queue and self._farewell is None and self._last is None

    def take(self, frame: Frame) -> None:
        """The next frame from the gateway; one of an old turn, a repeated one and a fade are dropped."""
        if Flags.COMFORT in frame.flags or frame.turn <= self._over or frame.turn < self._turn:
            return
        if frame.turn > self._turn:
            self._begin(frame.turn)
        if frame.position < self._taken:
            return
        self._taken = frame.end
        self._queue.append(frame)
        if len(self._queue) > _MAX_FRAMES:
            self._queue.popleft()

    def _begin(self, turn: TurnId) -> None:
        self._part()
        self._turn, self._played, self._taken = turn, Samples(0), Samples(0)
        self._queue.clear()
        self._held = self._flowing = self._fade_in_due = False

    def obey(self, command: Hold | Release | Flush) -> None:
        """What the gateway's gate does, too."""
        match command:
            case Hold(turn=turn):
                self.hold(turn)
            case Release(turn=turn):
                self.release(turn)
            case Flush(turn=turn):
                self.flush(turn)

    def hold(self, turn: TurnId) -> None:
        """Fall silent and keep what is here."""
        if turn == self._turn:
            self._held = True

    def release(self, turn: TurnId) -> None:
        """Go on at the next sample."""
        if turn == self._turn and self._held:
            self._held = False
            self._fade_in_due = self._last is None and self._played > 0

    def flush(self, turn: TurnId) -> None:
        """Drop this turn and older ones."""
        self._over = max(self._over, turn)
        if turn >= self._turn:
            self._part()
            self._queue.clear()
            self._held = self._fade_in_due = False

    def pull(self) -> bytes | None:
        """The next 960 samples for the loudspeaker, or None for silence."""
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            return farewell
        if self._held:
            return self._fall_silent()
        if not self._flowing and not self._has_lead():
            return None
        if not self._queue:
            return self._run_dry()
        return self._welcome() if self._fade_in_due else self._play()

    def _has_lead(self) -> bool:
        self._flowing = len(self._queue) >= self._lead or (bool(self._queue) and Flags.LAST in self._queue[-1].flags)
        return self._flowing

    def _play(self) -> bytes:
        frame = self._queue.popleft()
        self._played = frame.end
        self._last = None if Flags.LAST in frame.flags else frame.pcm
        self._heard = frame.pcm
        self._flowing = Flags.LAST not in frame.flags
        return frame.pcm

    def _welcome(self) -> bytes:
        self._fade_in_due = False
        self._last = self._heard
        return fade_in(self._heard)

    def _run_dry(self) -> bytes | None:
        """The turn goes on, but its next frame is late."""
        self._flowing = False
        self.underruns += self._last is not None
        self._fade_in_due = self._last is not None
        return self._fall_silent()

    def _fall_silent(self) -> bytes | None:
        self._part()
        farewell, self._farewell = self._farewell, None
        return farewell

    def _part(self) -> None:
        if self._last is not None:
            self._farewell = fade_out(self._queue[0].pcm) if self._queue else fade_out_from_level(self._last)
            self._last = None
