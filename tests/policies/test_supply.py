from actors.policies.playout import PlayoutGate
from actors.policies.supply import PATIENCE_S, Supply
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.ids import Samples, TurnId, UnixMicros

ONE = TurnId(1)


def frame(number: int, *, last: bool = False) -> Frame:
    return Frame(
        kind=Kind.SPEECH,
        turn=ONE,
        sequence=number,
        position=Samples(number * SPEECH_FRAME),
        captured_at=UnixMicros(0),
        pcm=bytes(2 * SPEECH_FRAME),
        flags=Flags.LAST if last else Flags.NONE,
    )


class Speaking:
    """A gate that is fed by hand; 20 ms pass with each pull."""

    def __init__(self) -> None:
        self.gate, self.supply, self.now, self.sent = PlayoutGate(), Supply(), 0.0, 0
        self.gate.expect(ONE)

    def send(self, count: int = 1, *, last: bool = False) -> None:
        for number in range(count):
            self.gate.offer(frame(self.sent, last=last and number == count - 1))
            self.supply.arrived(ONE, self.now)
            self.sent += 1

    def pulls(self, count: int) -> int:
        """How often it dried up meanwhile."""
        told = 0
        for _ in range(count):
            self.now += 0.02
            self.gate.pull()
            told += self.supply.has_dried_up(self.gate, self.now)
        return told


def test_a_steady_voice_does_not_dry_up() -> None:
    it = Speaking()
    it.send(10)
    for _ in range(100):
        it.send()
        assert it.pulls(1) == 0


def test_a_voice_that_stops_is_noticed_once_while_the_gate_still_sounds() -> None:
    it = Speaking()
    it.send(10)
    pulls = 0
    while not it.pulls(1):
        pulls += 1
    assert it.now <= PATIENCE_S + 0.02
    assert it.gate.queued > 0
    assert it.pulls(100) == 0


def test_it_is_noticed_again_when_it_had_gone_on_meanwhile() -> None:
    it = Speaking()
    it.send(3)
    assert it.pulls(20) == 1
    it.send(3)
    assert it.pulls(20) == 1


def test_who_has_sent_far_ahead_may_take_its_time() -> None:
    it = Speaking()
    it.send(30)
    assert it.pulls(20) == 0


def test_a_turn_that_is_here_to_its_end_does_not_dry_up() -> None:
    it = Speaking()
    it.send(5, last=True)
    assert it.pulls(50) == 0


def test_a_turn_that_has_not_begun_does_not_dry_up() -> None:
    assert Speaking().pulls(100) == 0


def test_a_held_turn_does_not_dry_up_and_has_its_time_after_the_release() -> None:
    it = Speaking()
    it.send(5)
    it.gate.hold(ONE)
    assert it.pulls(100) == 0
    it.gate.release(ONE)
    assert it.pulls(4) == 0
    assert it.pulls(20) == 1
