from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.policies.liveness import FIRST_MS, LIMIT_MS, Liveness
from protocol.ids import Millis, UnixMicros, WorkerName
from protocol.workers import Announcement

A = WorkerName("tts-a-0")
B = WorkerName("tts-b-0")
BORN = UnixMicros(1)


def worker(name: WorkerName = A, *, started_at: int = BORN, pulse_ms: int = 250, **more: Any) -> Announcement:
    return Announcement(name=name, addr="nats", started_at=UnixMicros(started_at), pulse_ms=pulse_ms, **more)


def beating(*names: WorkerName, at: int = 0) -> Liveness:
    liveness = Liveness()
    for name in names or (A,):
        liveness.announced(worker(name), Millis(at))
        liveness.pulsed(name, BORN, Millis(at))
    return liveness


def test_a_worker_whose_pulse_stops_is_gone_after_three_pulses() -> None:
    liveness = beating()
    assert liveness.expire(Millis(LIMIT_MS - 1)) == []
    assert liveness.expire(LIMIT_MS) == [A]
    assert not liveness.lives(A)
    assert not liveness.all_live


def test_it_is_found_silent_once() -> None:
    liveness = beating()
    liveness.expire(LIMIT_MS)
    assert liveness.expire(Millis(LIMIT_MS + 1)) == []


def test_it_lives_again_by_its_next_pulse() -> None:
    liveness = beating()
    liveness.expire(LIMIT_MS)
    assert liveness.pulsed(A, BORN, Millis(1_000))
    assert liveness.lives(A)
    assert not liveness.pulsed(A, BORN, Millis(1_250))
    assert liveness.expire(Millis(2_000)) == [A]


def test_a_restarted_worker_is_a_new_one_and_its_predecessor_s_pulse_means_nothing() -> None:
    liveness = beating()
    liveness.expire(LIMIT_MS)
    liveness.announced(worker(started_at=2), Millis(1_000))
    assert liveness.lives(A)
    assert not liveness.pulsed(A, BORN, Millis(3_999))
    assert liveness.expire(Millis(1_000 + FIRST_MS)) == [A]


def test_what_it_says_of_itself_while_silent_is_no_sign_of_life() -> None:
    liveness = beating()
    liveness.expire(LIMIT_MS)
    liveness.announced(worker(sessions=3), Millis(900))
    assert not liveness.lives(A)


def test_a_pulse_before_the_announcement_is_ignored() -> None:
    liveness = Liveness()
    assert not liveness.pulsed(A, BORN, Millis(0))
    assert liveness.expire(Millis(10_000)) == []
    assert liveness.lives(A)


def test_who_promises_no_pulse_is_never_judged() -> None:
    liveness = Liveness()
    liveness.announced(worker(pulse_ms=0), Millis(0))
    assert liveness.expire(Millis(100_000)) == []


def test_who_is_mirrored_from_elsewhere_is_never_judged() -> None:
    liveness = Liveness()
    liveness.announced(worker(via="bridge"), Millis(0))
    assert liveness.expire(Millis(100_000)) == []


def test_who_promises_pulses_and_never_sends_one_had_died_before_we_came() -> None:
    liveness = Liveness()
    liveness.announced(worker(), Millis(0))
    assert liveness.expire(Millis(FIRST_MS - 1)) == []
    assert liveness.expire(FIRST_MS) == [A]


def test_a_slow_pulse_is_waited_for_longer() -> None:
    liveness = Liveness()
    liveness.announced(worker(pulse_ms=1_000), Millis(0))
    liveness.pulsed(A, BORN, Millis(0))
    assert liveness.expire(Millis(2_999)) == []
    assert liveness.expire(Millis(3_000)) == [A]


def test_who_said_goodbye_is_not_missed() -> None:
    liveness = beating()
    liveness.withdrawn(A)
    assert liveness.expire(Millis(10_000)) == []


def test_nobody_is_condemned_for_an_outage_of_the_bus() -> None:
    liveness = beating(A, B)
    liveness.excuse(Millis(5_000))
    assert liveness.expire(Millis(5_000 + LIMIT_MS - 1)) == []
    assert liveness.expire(Millis(5_000 + LIMIT_MS)) == [A, B]


def test_what_we_were_late_ourselves_is_taken_off_their_silence_and_no_more() -> None:
    liveness = beating()
    liveness.forgive(Millis(600), Millis(700))
    assert liveness.expire(Millis(600 + LIMIT_MS - 1)) == []
    assert liveness.expire(Millis(600 + LIMIT_MS)) == [A]
    assert liveness.silent_for(A, Millis(600 + LIMIT_MS)) == LIMIT_MS


@given(st.lists(st.integers(1, LIMIT_MS - 1), max_size=50))
def test_whoever_is_heard_within_the_limit_is_never_condemned(gaps: list[int]) -> None:
    liveness, now = beating(), 0
    for gap in gaps:
        now += gap
        assert liveness.expire(Millis(now)) == []
        assert not liveness.pulsed(A, BORN, Millis(now))


_event = st.tuples(
    st.sampled_from(["pulse", "old", "expire", "announce", "restart", "excuse", "forgive"]), st.integers(0, 900)
)


@given(st.lists(_event, max_size=60))
def test_it_lives_exactly_as_long_as_what_was_heard_and_excused_reaches(events: list[tuple[str, int]]) -> None:
    liveness, now, born = Liveness(), 0, 1
    liveness.announced(worker(), Millis(0))
    reach, beats = FIRST_MS, False
    silent = False
    for what, after in events:
        now += after
        match what:
            case "pulse":
                assert liveness.pulsed(A, UnixMicros(born), Millis(now)) == silent
                reach, beats, silent = Millis(max(now + LIMIT_MS, reach if beats else 0)), True, False
            case "old":
                assert not liveness.pulsed(A, UnixMicros(born - 1), Millis(now))
            case "announce":
                liveness.announced(worker(started_at=born, sessions=1), Millis(now))
            case "restart":
                born += 1
                liveness.announced(worker(started_at=born), Millis(now))
                reach, beats, silent = Millis(now + FIRST_MS), False, False
            case "excuse":
                liveness.excuse(Millis(now))
                reach = Millis(max(reach, now + (LIMIT_MS if beats else FIRST_MS)))
            case "forgive":
                liveness.forgive(Millis(after), Millis(now))
                reach = Millis(min(reach + after, max(reach, now + (LIMIT_MS if beats else FIRST_MS))))
            case _:
                found = liveness.expire(Millis(now))
                assert found == ([A] if not silent and now >= reach else [])
                silent = silent or bool(found)
        assert liveness.lives(A) == (not silent)
