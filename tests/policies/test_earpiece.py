import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policies.earpiece import Earpiece
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import Flush, Hold, Release
from protocol.ids import Samples, SessionId, TurnId, UnixMicros

ONE, TWO = TurnId(1), TurnId(2)
SESSION = SessionId("s")


def frame(number: int, *, turn: TurnId = ONE, flags: Flags = Flags.NONE) -> Frame:
    """No two frames of a test sound the same, and none like a fade."""
    pcm = np.full(SPEECH_FRAME, 1_000 * turn + number + 1, np.int16).tobytes()
    return Frame(
        kind=Kind.SPEECH,
        turn=turn,
        sequence=number,
        position=Samples(number * SPEECH_FRAME),
        captured_at=UnixMicros(0),
        pcm=pcm,
        flags=flags,
    )


def an_earpiece(frames: int, *, turn: TurnId = ONE, last: bool = False) -> Earpiece:
    earpiece = Earpiece()
    for number in range(frames):
        ends = last and number == frames - 1
        earpiece.take(frame(number, turn=turn, flags=Flags.LAST if ends else Flags.NONE))
    return earpiece


def pulled(earpiece: Earpiece, times: int) -> list[bytes | None]:
    return [earpiece.pull() for _ in range(times)]


def is_fade(pcm: bytes | None) -> bool:
    return pcm is not None and len(set(np.frombuffer(pcm, np.int16).tolist())) > 1


def test_a_turn_begins_to_sound_with_its_second_frame() -> None:
    earpiece = Earpiece()
    earpiece.take(frame(0))
    assert earpiece.pull() is None
    earpiece.take(frame(1))
    assert pulled(earpiece, 2) == [frame(0).pcm, frame(1).pcm]


def test_a_turn_of_one_frame_does_not_wait_for_a_second_one() -> None:
    earpiece = an_earpiece(1, last=True)
    assert earpiece.pull() == frame(0).pcm
    assert earpiece.pull() is None
    assert earpiece.silent


def test_what_was_played_is_counted_and_fades_are_not() -> None:
    earpiece = an_earpiece(4)
    pulled(earpiece, 2)
    earpiece.hold(ONE)
    assert is_fade(earpiece.pull())
    assert (earpiece.turn, earpiece.played) == (ONE, 2 * SPEECH_FRAME)


def test_a_hold_fades_out_and_a_release_fades_in_and_goes_on_at_the_next_sample() -> None:
    earpiece = an_earpiece(4)
    pulled(earpiece, 2)
    earpiece.obey(Hold(session=SESSION, turn=ONE))
    assert earpiece.held
    out, *silence = pulled(earpiece, 3)
    assert is_fade(out)
    assert silence == [None, None]
    earpiece.obey(Release(session=SESSION, turn=ONE))
    assert is_fade(earpiece.pull())
    assert pulled(earpiece, 2) == [frame(2).pcm, frame(3).pcm]


def test_a_hold_that_is_taken_back_at_once_leaves_no_trace() -> None:
    earpiece = an_earpiece(4)
    pulled(earpiece, 1)
    earpiece.hold(ONE)
    earpiece.release(ONE)
    assert pulled(earpiece, 2) == [frame(1).pcm, frame(2).pcm]


def test_a_hold_before_the_first_sound_needs_no_fade() -> None:
    earpiece = an_earpiece(3)
    earpiece.hold(ONE)
    assert earpiece.pull() is None
    earpiece.release(ONE)
    assert earpiece.pull() == frame(0).pcm


def test_frames_that_come_during_a_hold_are_kept() -> None:
    earpiece = an_earpiece(2)
    pulled(earpiece, 1)
    earpiece.hold(ONE)
    earpiece.take(frame(2))
    pulled(earpiece, 1)
    earpiece.release(ONE)
    assert pulled(earpiece, 3)[1:] == [frame(1).pcm, frame(2).pcm]


def test_a_flush_drops_what_is_here_and_what_still_comes_of_that_turn() -> None:
    earpiece = an_earpiece(5)
    pulled(earpiece, 1)
    earpiece.obey(Flush(session=SESSION, turn=ONE))
    assert is_fade(earpiece.pull())
    earpiece.take(frame(5))
    assert pulled(earpiece, 3) == [None, None, None]


def test_a_flush_of_an_old_turn_does_not_touch_the_new_one() -> None:
    earpiece = an_earpiece(1)
    for number in range(2):
        earpiece.take(frame(number, turn=TWO))
    earpiece.flush(ONE)
    assert pulled(earpiece, 2) == [frame(0, turn=TWO).pcm, frame(1, turn=TWO).pcm]


@pytest.mark.parametrize("command", [Hold, Release])
def test_a_command_for_another_turn_is_ignored(command: type[Hold | Release]) -> None:
    earpiece = an_earpiece(3)
    earpiece.obey(command(session=SESSION, turn=TWO))
    assert earpiece.pull() == frame(0).pcm


def test_the_next_turn_takes_the_place_of_the_one_before() -> None:
    earpiece = an_earpiece(4)
    pulled(earpiece, 1)
    for number in range(2):
        earpiece.take(frame(number, turn=TWO))
    assert is_fade(earpiece.pull())
    assert earpiece.pull() == frame(0, turn=TWO).pcm
    assert (earpiece.turn, earpiece.played) == (TWO, SPEECH_FRAME)


def test_a_late_frame_of_the_turn_before_is_dropped() -> None:
    earpiece = an_earpiece(2, turn=TWO)
    earpiece.take(frame(9, turn=ONE))
    assert pulled(earpiece, 3)[:2] == [frame(0, turn=TWO).pcm, frame(1, turn=TWO).pcm]
    assert earpiece.turn == TWO


def test_a_frame_that_was_sent_again_is_played_once() -> None:
    earpiece = an_earpiece(3)
    pulled(earpiece, 1)
    for number in (0, 1, 2, 3):
        earpiece.take(frame(number))
    assert pulled(earpiece, 3) == [frame(1).pcm, frame(2).pcm, frame(3).pcm]


def test_the_gateways_own_fades_are_left_out() -> None:
    earpiece = an_earpiece(2)
    earpiece.take(frame(2, flags=Flags.COMFORT))
    earpiece.take(frame(2))
    assert pulled(earpiece, 3) == [frame(0).pcm, frame(1).pcm, frame(2).pcm]


def test_a_late_frame_costs_a_fade_and_no_sample() -> None:
    earpiece = an_earpiece(2)
    assert pulled(earpiece, 2) == [frame(0).pcm, frame(1).pcm]
    assert is_fade(earpiece.pull())
    assert earpiece.pull() is None
    assert earpiece.underruns == 1
    for number in (2, 3):
        earpiece.take(frame(number))
    assert is_fade(earpiece.pull())
    assert pulled(earpiece, 2) == [frame(2).pcm, frame(3).pcm]


def test_a_gateway_that_does_not_pace_cannot_fill_our_memory() -> None:
    earpiece = an_earpiece(10_000)
    assert len(earpiece._queue) <= 100


@given(
    st.lists(
        st.sampled_from(["take", "take", "pull", "pull", "hold", "release", "again", "comfort"]),
        min_size=10,
        max_size=150,
    )
)
def test_whatever_happens_each_frame_sounds_once_and_in_order(steps: list[str]) -> None:
    earpiece = Earpiece()
    taken = 0
    heard: list[bytes] = []
    for step in steps:
        match step:
            case "take":
                earpiece.take(frame(taken))
                taken += 1
            case "again" if taken:
                earpiece.take(frame(taken // 2))
            case "comfort":
                earpiece.take(frame(taken, flags=Flags.COMFORT))
            case "hold":
                earpiece.hold(ONE)
            case "release":
                earpiece.release(ONE)
            case "pull":
                pcm = earpiece.pull()
                assert pcm is None or len(pcm) == 2 * SPEECH_FRAME
                assert pcm is None or is_fade(pcm) or not earpiece.held
                heard += [pcm] if pcm is not None and not is_fade(pcm) else []
    assert heard == [frame(number).pcm for number in range(len(heard))]
    assert earpiece.played == len(heard) * SPEECH_FRAME
