"""How a session's sound is measured, second by second."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policies.measuring import GatewaySound, Jitter, Window, WorkerSound
from protocol.ids import Millis, Samples, SessionId, TurnId
from protocol.measures import GatewayMeasures, MicrophoneMeasures, SpeechMeasures, TtsMeasures

SESSION, ONE, TWO = SessionId("one"), TurnId(1), TurnId(2)
FRAME = 960
GRID_S = 0.02


def taken(sound: GatewaySound, *, turn: TurnId = ONE, queued: int = 0) -> GatewayMeasures:
    return sound.take(turn=turn, queued=Samples(queued))


def microphone(measures: GatewayMeasures) -> MicrophoneMeasures:
    assert measures.microphone is not None
    return measures.microphone


def speech(measures: GatewayMeasures) -> SpeechMeasures:
    assert measures.speech is not None
    return measures.speech


def test_the_jitter_moves_a_sixteenth_of_the_way_to_each_deviation() -> None:
    jitter = Jitter()
    jitter.note(0.016)
    assert jitter.ms == 1.0
    jitter.note(-0.017)
    assert jitter.ms == 2.0


def test_the_worst_deviation_is_that_since_it_was_last_asked() -> None:
    jitter = Jitter()
    for deviation_s in (0.003, -0.08, 0.01):
        jitter.note(deviation_s)
    assert (jitter.take_worst_ms(), jitter.take_worst_ms()) == (80.0, 0.0)


@given(st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=100))
def test_the_jitter_is_never_negative_and_never_above_the_worst_deviation(deviations_s: list[float]) -> None:
    jitter = Jitter()
    for deviation_s in deviations_s:
        jitter.note(deviation_s)
    assert 0.0 <= jitter.ms <= jitter.take_worst_ms() + 0.01


@given(st.floats(0.0, 0.5))
def test_the_jitter_comes_to_a_steady_deviation(deviation_s: float) -> None:
    jitter = Jitter()
    for _ in range(200):
        jitter.note(deviation_s)
    assert jitter.ms == pytest.approx(deviation_s * 1000, abs=0.01)


def test_a_second_of_a_steady_microphone_has_fifty_frames_and_no_jitter() -> None:
    sound = GatewaySound(SESSION)
    for n in range(50):
        assert not sound.is_over(n * GRID_S)
        sound.heard(n * GRID_S, taken=True)
    assert sound.is_over(1.0)
    measures = taken(sound)
    assert (measures.session, measures.over_ms, measures.speech) == (SESSION, 1000, None)
    assert measures.microphone == MicrophoneMeasures(frames=50, dropped=0, jitter_ms=0.0, worst_ms=0.0)


def test_a_microphone_that_stumbles_has_jitter_and_loses_what_comes_too_fast() -> None:
    sound = GatewaySound(SESSION)
    for at in (0.0, 0.02, 0.10):
        sound.heard(at, taken=True)
    sound.heard(0.10, taken=False)
    mic = microphone(taken(sound))
    assert (mic.frames, mic.dropped, mic.worst_ms) == (3, 1, 60.0)
    assert mic.jitter_ms == pytest.approx((60 / 16) + (20 - 60 / 16) / 16, abs=0.01)


def test_a_microphone_that_was_switched_off_for_long_has_no_jitter() -> None:
    sound = GatewaySound(SESSION)
    for at in (0.0, 0.02, 60.0, 60.02):
        sound.heard(at, taken=True)
    assert microphone(taken(sound)).worst_ms == 0.0


def test_speech_is_counted_by_what_became_of_it() -> None:
    sound = GatewaySound(SESSION)
    for n in range(3):
        sound.arrived(n * GRID_S, None)
    sound.arrived(0.07, 0.01)
    sound.dropped(0.08)
    sound.played(0.08)
    for again in (False, True, True, False):
        sound.silent(0.1, again=again)
    measures = taken(sound, turn=TWO, queued=3 * FRAME)
    assert measures.microphone is None
    assert measures.speech == SpeechMeasures(
        turn=TWO,
        arrived=4,
        dropped=1,
        played=1,
        jitter_ms=0.62,
        worst_ms=10.0,
        queued_ms=Millis(60),
        underruns=2,
        silent=4,
    )


def test_where_nothing_flows_there_is_nothing_to_tell() -> None:
    gateway, worker = GatewaySound(SESSION), WorkerSound(SESSION)
    for n in range(1_000):
        assert not gateway.is_over(n * GRID_S)
        assert not worker.is_over(n * GRID_S)


def test_what_was_told_is_not_told_again() -> None:
    sound = GatewaySound(SESSION)
    sound.played(0.0)
    assert speech(taken(sound)).played == 1
    assert not sound.is_over(9.0)
    sound.heard(9.0, taken=True)
    measures = taken(sound)
    assert (measures.speech, microphone(measures).frames) == (None, 1)


def test_time_in_which_nobody_looked_does_not_count() -> None:
    window = Window()
    window.note(0.0)
    assert not window.is_over(0.4)
    assert window.is_over(30.0)
    assert window.close() == 400


def test_a_worker_tells_what_it_sent_and_sent_again() -> None:
    sound = WorkerSound(SESSION)
    for n in range(8):
        sound.sent(0.0, ONE, ahead=Samples((n + 1) * FRAME), again=False)
    sound.sent(0.5, ONE, ahead=Samples(4 * FRAME), again=True)
    sound.underrun(0.9, ONE)
    assert sound.is_over(1.0)
    assert sound.take() == TtsMeasures(
        session=SESSION, over_ms=Millis(1000), turn=ONE, sent=9, again=1, ahead_ms=Millis(80), underruns=1
    )


def test_a_frame_that_left_after_the_playout_was_there_is_ahead_by_nothing() -> None:
    sound = WorkerSound(SESSION)
    sound.sent(0.0, ONE, ahead=Samples(-FRAME), again=False)
    assert sound.take().ahead_ms == 0


NOTES: dict[str, Callable[[GatewaySound, float], None]] = {
    "heard": lambda sound, now: sound.heard(now, taken=True),
    "refused": lambda sound, now: sound.heard(now, taken=False),
    "arrived": lambda sound, now: sound.arrived(now, 0.001),
    "dropped": lambda sound, now: sound.dropped(now),
    "played": lambda sound, now: sound.played(now),
    "silent": lambda sound, now: sound.silent(now, again=True),
    "look": lambda _sound, _now: None,
}


def counted(measures: GatewayMeasures) -> Counter[str]:
    counts = Counter[str]()
    if mic := measures.microphone:
        counts.update(heard=mic.frames, refused=mic.dropped)
    if out := measures.speech:
        counts.update(arrived=out.arrived, dropped=out.dropped, played=out.played, silent=out.silent)
    return counts


@given(st.lists(st.tuples(st.sampled_from(sorted(NOTES)), st.floats(0.0, 1.5)), max_size=300))
def test_everything_is_told_once_and_at_most_once_a_second(steps: list[tuple[str, float]]) -> None:
    sound, now = GatewaySound(SESSION), 0.0
    reports: list[tuple[float, GatewayMeasures]] = []
    for what, pause_s in steps:
        now += pause_s
        if sound.is_over(now):
            reports.append((now, taken(sound)))
        NOTES[what](sound, now)
    assert all(later - earlier > 0.999 for (earlier, _), (later, _) in pairwise(reports))
    assert all(measures.microphone or measures.speech for _, measures in reports), "no report is empty"
    told = sum((counted(measures) for _, measures in [*reports, (now, taken(sound))]), Counter[str]())
    assert told == Counter(what for what, _ in steps if what != "look")
