"""What is kept for a recognizer that comes later, and what such a one then reads."""

from collections import deque

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.policies.kept_sound import KeptSound
from actors.policies.listening import AudioRing, lacks_beginning
from protocol.audio import MIC_FRAME, Frame, Kind
from protocol.hearing import Transcribe
from protocol.ids import Samples, SessionId, TurnId, UnixMicros

SPAN = 40
"""Frames."""


def a_frame(number: int) -> Frame:
    """Its sound says which one it is."""
    return Frame(
        kind=Kind.MICROPHONE,
        turn=TurnId(0),
        sequence=number,
        position=Samples(number * MIC_FRAME),
        captured_at=UnixMicros(0),
        pcm=sound(number),
    )


def sound(number: int) -> bytes:
    return (number % 65_535 + 1).to_bytes(2, "little") * MIC_FRAME


def keeping(*numbers: int) -> KeptSound:
    kept = KeptSound(Samples(SPAN * MIC_FRAME))
    for number in numbers:
        kept.keep(a_frame(number))
    return kept


def sent(kept: KeptSound) -> list[int]:
    numbers = []
    while (frame := kept.next) is not None:
        numbers.append(frame.sequence)
        kept.note_sent()
    return numbers


def test_what_is_kept_is_sent_once() -> None:
    kept = keeping(0, 1, 2)
    assert sent(kept) == [0, 1, 2]
    assert sent(kept) == []


def test_what_was_sent_is_sent_again_from_the_oldest_on() -> None:
    kept = keeping(0, 1, 2)
    sent(kept)
    kept.keep(a_frame(3))
    kept.rewind()
    assert sent(kept) == [0, 1, 2, 3]


def test_nothing_older_than_the_span_is_kept_however_little_was_said_since() -> None:
    kept = keeping(0, 1, 2)
    sent(kept)
    kept.keep(a_frame(SPAN + 1))
    kept.rewind()
    assert sent(kept) == [2, SPAN + 1]


def test_what_grew_too_old_before_it_could_be_sent_is_counted() -> None:
    kept = keeping(0, 1, 2)
    assert kept.keep(a_frame(SPAN + 1)) == 2
    assert sent(kept) == [2, SPAN + 1]


class World(RuleBasedStateMachine):
    """Somebody speaks and pauses; recognizers come and die; the bus loses what is on its way and comes back."""

    @initialize()
    def begin(self) -> None:
        self.kept = keeping()
        self.said: dict[int, bytes] = {}
        self.now = 0
        self.ring: AudioRing | None = None
        self.on_its_way: deque[Frame] = deque()
        self.held_from = 0
        """The oldest frame that the recognizer was promised."""
        self.takes = True

    @rule(frames=st.integers(1, 30))
    def somebody_speaks(self, frames: int) -> None:
        for _ in range(frames):
            self.said[self.now] = sound(self.now)
            self.kept.keep(a_frame(self.now))
            self.now += 1

    @rule(frames=st.integers(1, 60))
    def nobody_speaks(self, frames: int) -> None:
        self.now += frames

    @rule()
    def the_recognizer_dies(self) -> None:
        self.ring = None
        self.on_its_way.clear()

    @rule()
    def a_recognizer_comes(self) -> None:
        self.on_its_way.clear()
        self.ring = AudioRing(Samples(SPAN * MIC_FRAME))
        self.kept.rewind()
        newest = max(self.said, default=0)
        self.held_from = min((n for n in self.said if n > newest - SPAN), default=self.now)

    @rule()
    def the_bus_is_lost_and_comes_back(self) -> None:
        self.on_its_way.clear()
        self.kept.rewind()

    @rule(takes=st.booleans())
    def the_bus_takes_frames_or_does_not(self, takes: bool) -> None:  # noqa: FBT001 - Hypothesis
        self.takes = takes

    @rule(count=st.integers(1, 100))
    def frames_leave(self, count: int) -> None:
        for _ in range(count):
            frame = self.kept.next
            if self.ring is None or frame is None or not self.takes:
                return
            self.kept.note_sent()
            self.on_its_way.append(frame)

    @rule(count=st.integers(1, 100))
    def frames_arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.on_its_way))):
            frame = self.on_its_way.popleft()
            assert self.ring is not None
            self.ring.write(frame.position, frame.pcm)

    @rule()
    def a_new_recognizer_is_sent_all_of_it(self) -> None:
        self.the_recognizer_dies()
        self.takes = True
        self.a_recognizer_comes()
        self.frames_leave(2 * SPAN)
        self.frames_arrive(2 * SPAN)

    @rule(back=st.integers(0, 60), length=st.integers(1, 40))
    def something_is_asked(self, back: int, length: int) -> None:
        """At any time, before all that was sent has come, too."""
        if self.ring is None:
            return
        first = max(0, self.now - back)
        wanted = Transcribe(
            session=SessionId("s"),
            request=1,
            first=Samples(first * MIC_FRAME),
            end=Samples((first + length) * MIC_FRAME),
            final=True,
        )
        begin, pcm = self.ring.read(wanted.first, wanted.end)
        if not pcm or lacks_beginning(wanted, begin):
            promised = max(self.held_from, self.ring.end // MIC_FRAME - SPAN)
            assert first < promised or first >= self.ring.end // MIC_FRAME, "it was sent, and is not held"
            return
        for place in range(len(pcm) // (2 * MIC_FRAME)):
            number = begin // MIC_FRAME + place
            heard = pcm[place * 2 * MIC_FRAME : (place + 1) * 2 * MIC_FRAME]
            assert heard == self.said.get(number, bytes(2 * MIC_FRAME)), f"frame {number} is not what was said"

    @invariant()
    def no_more_is_kept_than_the_span(self) -> None:
        assert len(self.kept) <= SPAN


TestKeptSound = World.TestCase
TestKeptSound.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
