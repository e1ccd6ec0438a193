import sys

from actors.policies.playout import MAX_QUEUED_FRAMES, PlayoutGate, Pulled
from protocol.audio import SPEECH_FRAME, Flags, Frame
from protocol.ids import Samples, TurnId
from tests.fakes.speech import LOUD, ONE, TWO, a_frame, frames, level


def a_gate(turn: TurnId = ONE, queued: int = 0) -> PlayoutGate:
    gate = PlayoutGate()
    gate.expect(turn)
    for frame in frames(queued, turn=turn, of=queued + 5):
        assert gate.offer(frame)
    return gate


def pulled(gate: PlayoutGate) -> Frame:
    out = gate.pull()
    assert out is not None
    return out.frame


def test_frames_come_out_as_they_went_in() -> None:
    gate = a_gate()
    source = frames(3)
    for frame in source:
        assert gate.offer(frame)
    assert [gate.pull() for _ in range(4)] == [
        Pulled(source[0], first=True),
        Pulled(source[1]),
        Pulled(source[2], last=True),
        None,
    ]
    assert gate.finished
    assert gate.played == 3 * SPEECH_FRAME


def test_before_the_first_turn_nothing_is_welcome() -> None:
    gate = PlayoutGate()
    assert not gate.offer(a_frame(0))
    assert gate.pull() is None
    assert gate.turn == 0


def test_played_and_queued_name_the_first_sample_that_is_wanted() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.pull()
    assert (gate.played, gate.queued, gate.wanted) == (2 * SPEECH_FRAME, 3 * SPEECH_FRAME, 5 * SPEECH_FRAME)


def test_a_frame_of_another_turn_is_dropped() -> None:
    gate = a_gate(TWO)
    assert not gate.offer(a_frame(0, turn=ONE))
    assert not gate.offer(a_frame(0, turn=TurnId(3)))


def test_a_resent_frame_is_dropped_by_its_position() -> None:
    gate = a_gate(queued=3)
    gate.pull()
    assert not gate.offer(a_frame(0))
    assert not gate.offer(a_frame(2))
    assert gate.offer(a_frame(3))


def test_a_frame_off_the_grid_is_dropped() -> None:
    gate = a_gate()
    assert not gate.offer(a_frame(0, position=Samples(7)))


def test_nothing_is_taken_after_the_turns_last_frame() -> None:
    gate = a_gate()
    for frame in frames(2):
        assert gate.offer(frame)
    beyond = frames(3)[2]
    assert not gate.offer(beyond)
    assert [pulled(gate).position for _ in range(2)] == [0, SPEECH_FRAME]
    assert gate.finished
    assert not gate.offer(beyond)


def test_a_gap_stops_the_playout_until_it_is_filled() -> None:
    gate = a_gate(queued=1)
    assert gate.offer(a_frame(2))
    assert (gate.missing, gate.wanted) == (True, SPEECH_FRAME)
    assert pulled(gate) == a_frame(0)
    assert gate.pull() is None
    assert gate.starving
    assert gate.offer(a_frame(1))
    assert not gate.missing
    assert [pulled(gate), pulled(gate)] == [a_frame(1), a_frame(2)]


def test_a_hold_is_honoured_at_the_next_pull_with_a_fade() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.hold(ONE)
    fade = gate.pull()
    assert fade is not None
    assert fade == Pulled(fade.frame)
    assert fade.frame.flags == Flags.COMFORT
    assert (fade.frame.turn, fade.frame.position) == (ONE, SPEECH_FRAME)
    assert abs(level(fade.frame, 0) - LOUD) <= 1
    assert level(fade.frame, 240) == level(fade.frame, 959) == 0
    assert gate.pull() is None
    assert gate.played == SPEECH_FRAME
    assert gate.held


def test_a_hold_with_nothing_queued_fades_from_the_last_level() -> None:
    gate = a_gate(queued=1)
    gate.pull()
    gate.hold(ONE)
    fade = pulled(gate)
    assert fade.flags == Flags.COMFORT
    assert abs(level(fade, 0) - LOUD) <= 1
    assert level(fade, 240) == 0


def test_a_release_fades_in_and_goes_on_at_the_next_sample() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.hold(ONE)
    gate.pull()
    gate.pull()
    gate.release(ONE)
    fade = pulled(gate)
    assert fade.flags == Flags.COMFORT
    assert level(fade, 0) == level(fade, 719) == 0
    assert abs(level(fade, 959) - LOUD) <= 1
    assert pulled(gate) == a_frame(1)


def test_the_fade_in_waits_for_what_follows_it() -> None:
    gate = a_gate(queued=1)
    gate.pull()
    gate.hold(ONE)
    gate.pull()
    gate.release(ONE)
    assert gate.pull() is None
    gate.offer(a_frame(1))
    assert pulled(gate).flags == Flags.COMFORT
    assert pulled(gate) == a_frame(1)


def test_a_hold_after_the_fade_in_fades_out_once_more() -> None:
    gate = a_gate(queued=2)
    gate.pull()
    for _ in range(2):
        gate.hold(ONE)
        fade = pulled(gate)
        assert fade.flags == Flags.COMFORT
        assert abs(level(fade, 0) - LOUD) <= 1
        assert gate.pull() is None
        gate.release(ONE)
        assert pulled(gate).flags == Flags.COMFORT
    assert pulled(gate) == a_frame(1)


def test_a_hold_that_is_taken_back_before_the_next_pull_leaves_no_trace() -> None:
    gate = a_gate(queued=3)
    gate.pull()
    gate.hold(ONE)
    gate.release(ONE)
    assert pulled(gate) == a_frame(1)


def test_hold_and_release_may_come_twice() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.hold(ONE)
    gate.hold(ONE)
    assert pulled(gate).flags == Flags.COMFORT
    assert gate.pull() is None
    gate.hold(ONE)
    assert gate.pull() is None
    gate.release(ONE)
    gate.release(ONE)
    assert pulled(gate).flags == Flags.COMFORT
    gate.release(ONE)
    assert pulled(gate) == a_frame(1)


def test_commands_of_another_turn_are_ignored() -> None:
    gate = a_gate(TWO, queued=3)
    gate.hold(ONE)
    gate.flush(ONE)
    gate.hold(TurnId(3))
    gate.flush(TurnId(3))
    assert pulled(gate) == a_frame(0, turn=TWO)
    gate.hold(TWO)
    gate.release(ONE)
    assert gate.held


def test_a_flush_fades_out_once_and_drops_the_rest() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.flush(ONE)
    gate.flush(ONE)
    assert pulled(gate).flags == Flags.COMFORT
    assert gate.pull() is None
    assert not gate.offer(a_frame(1))
    assert (gate.played, gate.queued, gate.finished) == (SPEECH_FRAME, 0, False)


def test_a_flush_after_a_hold_does_not_sound_again() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.hold(ONE)
    gate.pull()
    gate.flush(ONE)
    assert gate.pull() is None
    assert not gate.held


def test_a_new_turn_ends_the_old_one_with_a_fade() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    gate.expect(TWO)
    gate.offer(a_frame(0, turn=TWO))
    farewell = pulled(gate)
    assert (farewell.turn, farewell.flags) == (ONE, Flags.COMFORT)
    assert gate.pull() == Pulled(a_frame(0, turn=TWO), first=True)


def test_to_expect_the_current_turn_again_changes_nothing() -> None:
    gate = a_gate(TWO, queued=3)
    gate.expect(TWO)
    gate.expect(ONE)
    assert (gate.turn, gate.queued) == (TWO, 3 * SPEECH_FRAME)


def test_a_prepared_reply_waits_for_its_release_and_then_begins_without_a_fade() -> None:
    gate = PlayoutGate()
    gate.expect(ONE, held=True)
    gate.offer(a_frame(0))
    assert gate.pull() is None
    gate.release(ONE)
    assert gate.pull() == Pulled(a_frame(0), first=True)


def test_what_is_over_the_bound_is_dropped_and_can_be_sent_again() -> None:
    gate = a_gate(queued=MAX_QUEUED_FRAMES)
    late = a_frame(MAX_QUEUED_FRAMES)
    assert not gate.offer(late)
    gate.pull()
    assert gate.wanted == late.position
    assert gate.offer(late)


def test_the_wanted_frame_finds_room_among_early_ones() -> None:
    gate = PlayoutGate(max_queued=3)
    gate.expect(ONE)
    for index in (1, 2, 3):
        assert gate.offer(a_frame(index))
    assert not gate.offer(a_frame(4))
    assert gate.offer(a_frame(0))
    assert gate.wanted == 3 * SPEECH_FRAME
    assert not gate.missing


def test_a_client_that_heard_less_gets_it_again() -> None:
    gate = a_gate(queued=5)
    for _ in range(4):
        gate.pull()
    gate.hold(ONE)
    assert gate.rewind(ONE, Samples(2 * SPEECH_FRAME + 5))
    assert (gate.played, gate.wanted) == (2 * SPEECH_FRAME, 5 * SPEECH_FRAME)
    gate.release(ONE)
    assert pulled(gate).flags == Flags.COMFORT
    assert [pulled(gate) for _ in range(3)] == [a_frame(i) for i in (2, 3, 4)]


def test_a_reply_that_had_ended_goes_on_for_a_client_that_heard_less() -> None:
    gate = a_gate()
    for frame in frames(3):
        gate.offer(frame)
    while gate.pull():
        pass
    assert (gate.finished, gate.rewind(ONE, SPEECH_FRAME)) == (True, True)
    assert not gate.finished
    assert pulled(gate).flags == Flags.COMFORT
    assert pulled(gate) == frames(3)[1]


def test_what_was_never_played_or_is_no_longer_kept_cannot_be_rewound_to() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    assert not gate.rewind(ONE, Samples(2 * SPEECH_FRAME))
    assert not gate.rewind(TWO, Samples(0))
    gate.flush(ONE)
    assert not gate.rewind(ONE, Samples(0))


def test_a_client_that_heard_everything_goes_on_with_a_fade() -> None:
    gate = a_gate(queued=5)
    gate.pull()
    assert gate.rewind(ONE, SPEECH_FRAME)
    assert pulled(gate).flags == Flags.COMFORT
    assert pulled(gate) == a_frame(1)


def test_a_turn_that_goes_on_under_another_number_begins_where_what_is_here_ends() -> None:
    gate = PlayoutGate()
    gate.expect(ONE)
    for number in range(4):
        gate.offer(a_frame(number, turn=ONE))
    gate.pull()
    gate.succeed(TWO)
    assert gate.turn == TWO
    assert not gate.offer(a_frame(4, turn=ONE))
    gate.offer(a_frame(0, turn=TWO))
    pulled = [gate.pull() for _ in range(5)]
    assert [(p.frame.turn, p.frame.position) for p in pulled if p and p.frame.flags != Flags.COMFORT] == [
        (ONE, SPEECH_FRAME),
        (ONE, 2 * SPEECH_FRAME),
        (ONE, 3 * SPEECH_FRAME),
        (TWO, 0),
    ]
    assert pulled[3] is not None
    assert pulled[3].frame.flags == Flags.COMFORT
    assert pulled[4] is not None
    assert pulled[4].first
    assert gate.played == SPEECH_FRAME


def test_what_is_left_of_a_turn_that_goes_on_is_held_released_and_flushed_with_it() -> None:
    gate = PlayoutGate()
    gate.expect(ONE)
    for number in range(6):
        gate.offer(a_frame(number, turn=ONE))
    gate.pull()
    gate.succeed(TWO)
    gate.pull()
    gate.hold(TWO)
    cut = gate.pull()
    assert cut is not None
    assert cut.frame.flags == Flags.COMFORT
    assert gate.pull() is None
    gate.release(TWO)
    again = gate.pull()
    assert again is not None
    assert (again.frame.turn, again.frame.position) == (ONE, 2 * SPEECH_FRAME)
    gate.flush(TWO)
    fade = gate.pull()
    assert fade is not None
    assert fade.frame.flags == Flags.COMFORT
    assert gate.pull() is None


def test_a_held_turn_that_goes_on_drops_what_is_here_and_stays_held() -> None:
    gate = PlayoutGate()
    gate.expect(ONE)
    gate.offer(a_frame(0, turn=ONE))
    gate.hold(ONE)
    gate.succeed(TWO)
    gate.offer(a_frame(0, turn=TWO))
    assert gate.held
    assert gate.pull() is None
    gate.release(TWO)
    pulled = gate.pull()
    assert pulled is not None
    assert (pulled.frame.turn, pulled.first) == (TWO, True)


def test_a_turn_is_complete_when_nothing_more_is_wanted_of_its_worker() -> None:
    gate = PlayoutGate()
    complete = [gate.complete]
    gate.expect(ONE)
    complete.append(gate.complete)
    gate.offer(a_frame(0, turn=ONE))
    complete.append(gate.complete)
    gate.offer(a_frame(1, turn=ONE, flags=Flags.LAST))
    complete.append(gate.complete)
    gate.pull()
    gate.pull()
    complete.append(gate.complete)
    gate.expect(TWO)
    gate.flush(TWO)
    complete.append(gate.complete)
    assert complete == [True, False, False, True, True, True]


def test_a_closed_gate_plays_takes_and_keeps_nothing() -> None:
    source = [a_frame(0), a_frame(1), a_frame(3)]
    references = [sys.getrefcount(frame) for frame in source]
    gate = a_gate()
    for frame in source:
        gate.offer(frame)
    del frame
    gate.pull()
    assert [sys.getrefcount(frame) for frame in source] > references
    gate.close()
    assert [sys.getrefcount(frame) for frame in source] == references
    assert gate.pull() is None
    assert not gate.offer(a_frame(2))
    assert not gate.rewind(ONE, Samples(0))
