"""What is played to a client and what is kept: the gate at the edge, one for each session.

Pure: frames and commands go in, at most one frame comes out for each pull. Everything is exact to the sample: the
frames that come out (COMFORT ones apart) are the worker's, each once and in order, whatever happens in between.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from actors.policies.fades import fade_in, fade_out, fade_out_from_level
from protocol.audio import FRAME_MS, SPEECH_FRAME, Flags, Frame
from protocol.ids import Samples, TurnId

MAX_QUEUED_FRAMES: Final = 2_000 // FRAME_MS
"""Ten times what a worker sends ahead of the playout: more is a worker that does not pace."""
KEPT_FRAMES: Final = 15_000 // FRAME_MS
"""Played frames (1.4 MB at most) for a client that comes back after it had lost its network for 10 s."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A frame to send now.

    Attributes:
        first: this is the first frame of its turn that is played.
        last: this is the turn's last one.
    """

    frame: Frame
    first: bool = False
    last: bool = False


class PlayoutGate:
    """Holds, releases and drops the frames of one session's current turn.

    A hold is honoured at the next pull, and one that is taken back before that pull leaves no trace.
    """

    def __init__(self, *, max_queued: int = MAX_QUEUED_FRAMES) -> None:
        self._max_queued = max_queued
        self._turn = TurnId(0)
        self._queue: deque[Frame] = deque()
        self._early: dict[Samples, Frame] = {}
        self._kept: deque[Frame] = deque(maxlen=KEPT_FRAMES)
        self._tail: deque[Frame] = deque()
        self._played = Samples(0)
        self._held = False
        self._dropped = True
        self._finished = False
        self._sounding: Frame | None = None
        self._fade_in_due = False
        self._farewell: Frame | None = None

    @property
    def turn(self) -> TurnId:
        """The turn whose frames are welcome; 0 before the first."""
        return self._turn

    @property
    def played(self) -> Samples:
        """Samples of the turn that were handed to the transport."""
        return self._played

    @property
    def queued(self) -> Samples:
        """Samples that wait here and can be played without a gap."""
        return Samples(len(self._queue) * SPEECH_FRAME)

    @property
    def wanted(self) -> Samples:
        """The first sample that is not here: where a worker has to go on."""
        return Samples(self._played + self.queued)

    @property
    def missing(self) -> bool:
        """Whether frames behind `wanted` are here and `wanted` itself was lost on the way."""
        return bool(self._early)

    @property
    def complete(self) -> bool:
        """Whether the turn's worker is needed no more: its last frame is here or played, or nothing of it is wanted."""
        return self._dropped or self._ends_here

    @property
    def held(self) -> bool:
        """Whether nothing is to be played for now."""
        return self._held

    @property
    def finished(self) -> bool:
        """Whether the turn's last frame was handed to the transport."""
        return self._finished

    @property
    def starving(self) -> bool:
        """Whether the turn has begun, should go on, and nothing is here to play."""
        silent = self._held or self._finished or self._dropped
        return self._played > 0 and not self._queue and not silent

    def expect(self, turn: TurnId, *, held: bool = False) -> None:
        """Welcome this turn's frames from now on and drop everything older.

        Harmless for a turn that is current or over. `held` keeps a prepared reply until it is released.
        """
        if turn <= self._turn:
            return
        if not self._tail:
            self._part()
        self._begin(turn, held=held)

    def succeed(self, turn: TurnId) -> None:
        """As `expect`, but what is here of the current turn is played first: the new one goes on where that ends."""
        if turn <= self._turn:
            return
        if self._held:
            self.expect(turn, held=True)
            return
        self._tail.extend(self._queue)
        if not self._tail:
            self._part()
        self._begin(turn, held=False)

    def _begin(self, turn: TurnId, *, held: bool) -> None:
        self._turn = turn
        self._queue.clear()
        self._early.clear()
        self._kept.clear()
        self._played = Samples(0)
        self._held = held
        self._dropped = self._finished = self._fade_in_due = False

    def offer(self, frame: Frame) -> bool:
        """Take a frame; False when it is of another turn, is here or played already, or is over the bound."""
        if frame.turn != self._turn or self._dropped or self._ends_here or not self._is_new(frame):
            return False
        if not self._has_room(frame.position):
            return False
        if frame.position != self.wanted:
            self._early[frame.position] = frame
            return True
        self._queue.append(frame)
        while self._early and (following := self._early.pop(self.wanted, None)) is not None:
            self._queue.append(following)
        return True

    @property
    def _ends_here(self) -> bool:
        """Whether the turn's last frame is here or played: what a faulty worker sends after it is not wanted."""
        return self._finished or (bool(self._queue) and Flags.LAST in self._queue[-1].flags)

    def _is_new(self, frame: Frame) -> bool:
        whole = frame.samples == SPEECH_FRAME and frame.position % SPEECH_FRAME == 0
        return whole and frame.position >= self.wanted and frame.position not in self._early

    def _has_room(self, position: Samples) -> bool:
        if len(self._queue) + len(self._early) < self._max_queued:
            return True
        if position != self.wanted or not self._early:
            return False
        del self._early[max(self._early)]  # the frame that everything waits for is worth more than the farthest one
        return True

    def hold(self, turn: TurnId) -> None:
        """Play nothing more of this turn and keep what is here."""
        if turn == self._turn and not self._dropped:
            self._held = True

    def release(self, turn: TurnId) -> None:
        """Go on at the next sample."""
        if turn != self._turn or not self._held:
            return
        self._held = False
        self._fade_in_due = self._sounding is None and self._played > 0

    def flush(self, turn: TurnId) -> None:
        """Drop what is here of this turn; nothing of it is played or taken any more."""
        if turn != self._turn or self._dropped:
            return
        self._part()
        self._tail.clear()
        self._queue.clear()
        self._early.clear()
        self._dropped = True
        self._held = self._fade_in_due = False

    def close(self) -> None:
        """The session is over: nothing is taken or played any more, and none of its sound is kept."""
        self._sounding = self._farewell = None
        self._dropped = True
        for frames in (self._tail, self._queue, self._early, self._kept):
            frames.clear()

    def rewind(self, turn: TurnId, to: Samples) -> bool:
        """Play again from the frame that holds sample `to`, the first one that the client says it has not heard.

        False, and nothing changes, when that is not the current turn, was not played yet or is no longer kept.
        """
        if turn != self._turn or self._dropped or not self._kept:
            return False
        to = Samples(to - to % SPEECH_FRAME)
        if not self._kept[0].position <= to <= self._played:
            return False
        while self._kept and self._kept[-1].position >= to:
            self._queue.appendleft(self._kept.pop())
        self._finished = self._finished and to == self._played
        self._played = to
        self._sounding = None
        self._fade_in_due = to > 0
        return True

    def pull(self) -> Pulled | None:
        """The frame to send now, or None for silence. To be called once for each 20 ms."""
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            return Pulled(farewell)
        if self._held and self._sounding is not None:
            cut = self._cut(self._sounding)
            self._sounding = None
            return Pulled(cut)
        if self._tail and not self._held:
            return self._play_tail()
        if self._held or not self._queue:
            self._sounding = None
            return None
        if self._fade_in_due:
            return self._welcome()
        return self._play()

    def _play(self) -> Pulled:
        frame = self._queue.popleft()
        first = self._played == 0
        self._played = frame.end
        self._kept.append(frame)
        self._finished = Flags.LAST in frame.flags
        self._sounding = None if self._finished else frame
        return Pulled(frame, first=first, last=self._finished)

    def _play_tail(self) -> Pulled:
        """What a turn that goes on under another number left here; it ends wherever its worker died."""
        self._sounding = frame = self._tail.popleft()
        if not self._tail:
            self._part()
        return Pulled(frame)

    def _welcome(self) -> Pulled | None:
        self._fade_in_due = False
        if not self._kept:
            return self._play()
        self._sounding = self._kept[-1]
        return Pulled(self._comfort(self._queue[0], fade_in(self._kept[-1].pcm)))

    def _part(self) -> None:
        """Keep a fade-out of what sounds now, for the queue is about to go."""
        if self._sounding is not None:
            self._farewell = self._cut(self._sounding)
            self._sounding = None

    def _cut(self, sounding: Frame) -> Frame:
        following = self._tail or self._queue
        if following:
            return self._comfort(following[0], fade_out(following[0].pcm))
        return self._comfort(replace(sounding, position=sounding.end), fade_out_from_level(sounding.pcm))

    def _comfort(self, place: Frame, pcm: bytes) -> Frame:
        return replace(place, pcm=pcm, flags=Flags.COMFORT)
