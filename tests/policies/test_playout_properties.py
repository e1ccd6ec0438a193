"""No interleaving of frames and commands loses, repeats or leaks a sample."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.policies.playout import PlayoutGate
from protocol.audio import SPEECH_FRAME, Flags
from protocol.ids import Samples, TurnId
from tests.fakes.speech import a_frame

BOUND = 6
LENGTH = 20
TURNS = st.integers(0, 5).map(TurnId)
INDICES = st.integers(0, LENGTH - 1)


def amplitude(turn: TurnId, index: int) -> int:
    return 1_000 * turn + index


class Gate(RuleBasedStateMachine):
    """Compares the gate with the simplest account of what should have come out."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = PlayoutGate(max_queued=BOUND)
        self.turn = TurnId(0)
        self.held = False
        self.flushed = True
        self.heard: list[int] = []
        self.tail: list[tuple[TurnId, int]] = []
        self.comfort_since_shut = 0
        self.rewound = 0

    @rule(turn=TURNS, held=st.booleans())
    def expect(self, turn: TurnId, *, held: bool) -> None:
        if turn > self.turn:
            self.turn, self.held, self.flushed, self.heard = turn, held, False, []
        self.gate.expect(turn, held=held)

    @rule(turn=TURNS)
    def succeed(self, turn: TurnId) -> None:
        if turn > self.turn:
            if not self.held:
                first = len(self.heard)
                self.tail += [(self.turn, first + i) for i in range(self.gate.queued // SPEECH_FRAME)]
            self.turn, self.flushed, self.heard = turn, False, []
        self.gate.succeed(turn)

    def _offer(self, turn: TurnId, index: int) -> None:
        flags = Flags.LAST if index == LENGTH - 1 else Flags.NONE
        taken = self.gate.offer(a_frame(index, turn=turn, flags=flags, amplitude=amplitude(turn, index)))
        assert not (taken and (turn != self.turn or self.flushed)), "a frame of an old turn was taken"

    @rule(turn=TURNS, index=INDICES)
    def offer_anything(self, turn: TurnId, index: int) -> None:
        self._offer(turn, index)

    @rule(ahead=st.integers(-2, 3))
    def offer_near_what_is_wanted(self, ahead: int) -> None:
        self._offer(self.turn, max(0, min(LENGTH - 1, self.gate.wanted // SPEECH_FRAME + ahead)))

    @rule(turn=TURNS)
    def hold(self, turn: TurnId) -> None:
        self.gate.hold(turn)
        if turn == self.turn and not self.flushed:
            self.held = True

    @precondition(lambda self: self.turn)
    @rule()
    def hold_what_plays(self) -> None:
        self.hold(self.turn)

    @rule(turn=TURNS)
    def release(self, turn: TurnId) -> None:
        self.gate.release(turn)
        if turn == self.turn:
            self.held = False

    @rule()
    def release_what_plays(self) -> None:
        self.release(self.turn)

    @rule(turn=TURNS)
    def flush(self, turn: TurnId) -> None:
        self.gate.flush(turn)
        if turn == self.turn:
            self.flushed, self.held, self.tail = True, False, []

    @rule(back=st.integers(-1, 4))
    def rewind(self, back: int) -> None:
        """A client came back and has heard so many frames less."""
        index = max(0, len(self.heard) - back)
        possible = not self.flushed and bool(self.heard) and index <= len(self.heard)
        assert self.gate.rewind(self.turn, Samples(index * SPEECH_FRAME)) == possible
        if possible:
            self.rewound += len(self.heard) - index
            self.heard = self.heard[:index]

    @rule()
    def pull(self) -> None:
        shut = self.held or self.flushed
        out = self.gate.pull()
        if not shut:
            self.comfort_since_shut = 0
        if out is None:
            return
        frame = out.frame
        if Flags.COMFORT in frame.flags:
            assert not out.first
            assert not out.last
            self.comfort_since_shut += shut  # a fade-in came out while it was open
            assert self.comfort_since_shut <= 1, "more than one fade came out of a shut gate"
            return
        assert not shut, "a shut gate let speech out"
        if self.tail:
            assert (frame.turn, frame.sequence) == self.tail.pop(0), "what was left of a turn is not played first"
            assert not out.first
            assert not out.last
            return
        assert frame.turn == self.turn, "a frame of an old turn came out"
        assert out.first == (not self.heard)
        assert out.last == (len(self.heard) == LENGTH - 1)
        assert frame == a_frame(
            len(self.heard),
            turn=self.turn,
            flags=Flags.LAST if out.last else Flags.NONE,
            amplitude=amplitude(self.turn, len(self.heard)),
        ), "what comes out is not the next of the source"
        self.heard.append(frame.sequence)

    @invariant()
    def the_books_agree(self) -> None:
        assert self.gate.played == len(self.heard) * SPEECH_FRAME
        assert self.gate.wanted == self.gate.played + self.gate.queued
        assert self.gate.queued <= (BOUND + self.rewound) * SPEECH_FRAME
        assert self.gate.held == self.held
        assert self.gate.finished == (len(self.heard) == LENGTH)

    def teardown(self) -> None:
        """Whatever happened, a turn that is neither held nor flushed can be played to its end."""
        self.expect(TurnId(9), held=False)
        while self.tail:
            self.pull()
        for index in range(LENGTH):
            self._offer(self.turn, index)
            self.pull()
        self.pull()
        self.pull()
        assert self.gate.finished


Gate.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestGate = Gate.TestCase
