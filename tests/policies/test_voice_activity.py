"""Hysteresis: what a run of probabilities amounts to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policies.voice_activity import WINDOW, VoiceActivity
from protocol.hearing import SpeechLikely, SpeechStarted, SpeechStopped, SpeechUnlikely, VadEvent
from protocol.ids import Millis, Samples, SessionId

SID = SessionId("s-1")
YES, NO, UNSURE = 0.9, 0.1, 0.4


def fed(*probabilities: float, start_windows: int = 2, stop_ms: int = 200, first: int = 0) -> list[VadEvent]:
    activity = VoiceActivity(SID, start_windows=start_windows, stop_ms=Millis(stop_ms))
    return [event for i, p in enumerate(probabilities) for event in activity.feed(Samples((first + i) * WINDOW), p)]


def kinds(events: list[VadEvent]) -> list[str]:
    return [event.type for event in events]


def test_two_windows_over_the_threshold_are_speech() -> None:
    assert kinds(fed(NO, YES, YES)) == ["speech_likely", "speech_started"]


def test_one_window_is_likely_and_then_unlikely() -> None:
    assert kinds(fed(NO, YES, NO, NO)) == ["speech_likely", "speech_unlikely"]


def test_windows_that_alternate_never_start_speech() -> None:
    assert set(kinds(fed(*[YES, NO] * 20))) == {"speech_likely", "speech_unlikely"}


def test_a_probability_of_exactly_the_threshold_is_no_speech() -> None:
    assert fed(0.5, 0.5, 0.5) == []


def test_a_session_may_start_with_one_window() -> None:
    assert kinds(fed(YES, start_windows=1)) == ["speech_likely", "speech_started"]


def test_a_session_may_ask_for_more_windows() -> None:
    assert kinds(fed(YES, YES, YES, start_windows=4)) == ["speech_likely"]
    assert kinds(fed(YES, YES, YES, YES, start_windows=4)) == ["speech_likely", "speech_started"]


def test_speech_stops_after_200_ms_of_silence_to_the_nearest_window() -> None:
    assert kinds(fed(YES, YES, *[NO] * 5))[2:] == []
    assert kinds(fed(YES, YES, *[NO] * 6))[2:] == ["speech_stopped"]


def test_a_doubtful_window_does_not_start_speech_but_keeps_it_up() -> None:
    assert fed(UNSURE, UNSURE, UNSURE) == []
    assert kinds(fed(YES, YES, *[NO] * 5, UNSURE, *[NO] * 5)) == ["speech_likely", "speech_started"]


def test_speech_begins_a_little_before_its_first_window() -> None:
    likely, started = fed(YES, YES, first=100)
    assert likely.at == 100 * WINDOW
    assert started.at == 98 * WINDOW


def test_speech_begins_where_the_probability_began_to_rise() -> None:
    assert fed(0.01, 0.2, 0.3, YES, YES, first=100)[1].at == (101 - 2) * WINDOW


def test_a_room_that_is_never_quiet_sets_the_start_at_most_nine_windows_back() -> None:
    assert fed(*[0.2] * 50, YES, YES, first=100)[1].at == (150 - 7 - 2) * WINDOW


def test_speech_in_the_first_window_begins_at_the_session_s_first_sample() -> None:
    assert fed(YES, YES)[1].at == 0


def test_speech_stops_at_the_first_sample_of_the_silence() -> None:
    stopped = fed(YES, YES, YES, *[NO] * 6)[-1]
    assert (stopped.type, stopped.at) == ("speech_stopped", 3 * WINDOW)


def test_speech_never_begins_before_the_last_speech_stopped() -> None:
    events = fed(YES, YES, NO, YES, YES, stop_ms=32)
    assert kinds(events)[2:] == ["speech_stopped", "speech_likely", "speech_started"]
    assert events[4].at == events[2].at == 2 * WINDOW


def test_events_carry_the_session_and_the_window_s_probability() -> None:
    assert fed(0.71) == [SpeechLikely(session=SID, at=Samples(0), probability=0.71)]


def test_it_is_at_rest_after_eight_windows_without_any_sign_of_speech() -> None:
    activity = VoiceActivity(SID, stop_ms=Millis(1_000))

    def rests(*ps: float) -> list[bool]:
        found = []
        for p in ps:
            activity.feed(Samples(0), p)
            found.append(activity.at_rest)
        return found

    assert rests(*[0.01] * 8) == [False] * 7 + [True]
    assert rests(0.2, *[0.01] * 8) == [False] * 8 + [True]
    assert rests(YES, YES, *[0.01] * 30) == [False] * 32, "not while speech may still be going on"
    assert rests(0.01) == [True]


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.0}, {"start_windows": 0}, {"stop_ms": 0}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no voice activity"):
        VoiceActivity(SID, **wrong)  # type: ignore[arg-type]  # one of them at a time


probabilities = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([YES, NO, UNSURE, 0.5, 0.35])), max_size=200)
gaps = st.lists(st.integers(0, 3), max_size=200)


@given(probabilities, gaps, st.integers(1, 5), st.integers(1, 1000), st.floats(0.05, 0.95))
def test_events_alternate_and_their_positions_never_go_back(
    ps: list[float], missing: list[int], start_windows: int, stop_ms: int, threshold: float
) -> None:
    activity = VoiceActivity(SID, threshold=threshold, start_windows=start_windows, stop_ms=Millis(stop_ms))
    settled, position, likely, speaking = 0, 0, False, False
    for i, p in enumerate(ps):
        position += WINDOW * (missing[i] if i < len(missing) else 0)
        for event in activity.feed(Samples(position), p):
            match event:
                case SpeechLikely():
                    assert not likely
                    assert not speaking
                    likely = True
                case SpeechUnlikely():
                    assert likely
                    likely = False
                case SpeechStarted():
                    assert likely
                    assert settled <= event.at <= position
                    likely, speaking, settled = False, True, event.at
                case SpeechStopped():
                    assert speaking
                    assert settled <= event.at <= position
                    speaking, settled = False, event.at
        assert activity.speaking is speaking
        position += WINDOW


@given(probabilities, st.integers(1, 5), st.integers(1, 1000))
def test_silence_always_ends_what_began(ps: list[float], start_windows: int, stop_ms: int) -> None:
    activity = VoiceActivity(SID, start_windows=start_windows, stop_ms=Millis(stop_ms))
    for i, p in enumerate([*ps, *[0.0] * 40]):
        activity.feed(Samples(i * WINDOW), p)
    assert not activity.speaking
    assert activity.feed(Samples(10**6), 0.0) == ()
