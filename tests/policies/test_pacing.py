from hypothesis import given
from hypothesis import strategies as st

from actors.policies.pacing import TRUSTED_S, Pacing
from protocol.audio import SPEECH_FRAME
from protocol.ids import Millis, Samples

MANY = 1_000
FRAMES = SPEECH_FRAME


def sent(pacing: Pacing, frames: int) -> None:
    pacing.sent = Samples(pacing.sent + frames * FRAMES)


def frames(count: int) -> Samples:
    return Samples(count * FRAMES)


def report(pacing: Pacing, played: Samples, *, now: float, held: bool = False, queued: Samples | None = None) -> None:
    """As a gateway does that holds all that has left, unless `queued` says otherwise."""
    rest = Samples(max(0, pacing.sent - played))
    pacing.report(played=played, queued=rest if queued is None else queued, held=held, now=now)


def a_started_pacing() -> Pacing:
    """Eight frames have left at 0 s, and playing has just begun."""
    pacing = Pacing(lead_ms=Millis(200))
    sent(pacing, pacing.at_once(0.0, MANY))
    report(pacing, frames(1), held=False, now=0.0)
    return pacing


def test_a_turn_begins_with_a_burst_that_leaves_room_below_the_limit() -> None:
    assert Pacing(lead_ms=Millis(200)).at_once(0.0, MANY) == 8


def test_a_burst_is_no_longer_than_what_is_ready() -> None:
    assert Pacing().at_once(0.0, 3) == 3


def test_without_any_report_it_stops_at_the_lead() -> None:
    pacing = Pacing(lead_ms=Millis(200))
    sent(pacing, pacing.at_once(0.0, MANY))
    for tick in range(1_000):
        sent(pacing, pacing.at_tick(tick * 0.02, MANY))
    assert pacing.sent == frames(10)


def test_one_frame_leaves_per_tick_while_the_gateway_plays() -> None:
    pacing = a_started_pacing()
    for tick in range(1, 200):
        if tick % 5 == 0:
            report(pacing, frames(1 + tick), held=False, now=tick * 0.02)
        due = pacing.at_tick(tick * 0.02, MANY)
        assert due == 1
        sent(pacing, due)


def test_when_the_gateway_falls_silent_without_a_word_only_the_trusted_time_is_sent_beyond_the_lead() -> None:
    pacing = a_started_pacing()
    for tick in range(1, 500):
        sent(pacing, pacing.at_tick(tick * 0.02, MANY))
    assert pacing.sent == frames(1) + frames(10) + frames(int(TRUSTED_S / 0.02))


def test_while_the_gate_is_held_nothing_is_taken_for_played() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(2), held=True, now=0.02)
    for tick in range(1, 500):
        sent(pacing, pacing.at_tick(tick * 0.02, MANY))
    assert pacing.sent == frames(12)


def test_after_a_release_it_goes_on() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(2), held=True, now=0.02)
    sent(pacing, pacing.at_tick(1.0, MANY))
    report(pacing, frames(2), held=False, now=5.0)
    assert pacing.at_tick(5.1, MANY) >= 1


def test_a_queue_that_ran_half_empty_is_filled_at_once() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(7), held=False, now=1.0)
    assert pacing.at_once(1.0, MANY) == 7


def test_a_late_report_does_not_take_back_what_was_played() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(6), held=False, now=0.1)
    report(pacing, frames(3), held=False, now=0.11)
    assert pacing.played(0.11) == frames(6)


def test_frames_that_a_late_report_held_up_leave_when_it_comes() -> None:
    pacing = a_started_pacing()
    for tick in range(1, 13):
        sent(pacing, pacing.at_tick(tick * 0.02, MANY))
    stood_still = pacing.sent
    assert stood_still == frames(8 + 9)
    report(pacing, frames(13), queued=frames(4), now=0.26)
    sent(pacing, pacing.at_tick(0.26, MANY))
    assert pacing.sent == frames(8 + 13)


def test_a_hold_is_no_debt_beyond_the_lead() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(2), held=True, now=0.02)
    for tick in range(2, 100):
        sent(pacing, pacing.at_tick(tick * 0.02, MANY))
    report(pacing, frames(2), held=False, now=2.0)
    assert pacing.at_tick(2.0, MANY) == 0
    assert pacing.at_tick(2.02, MANY) == 1


def test_nothing_is_played_that_has_not_left() -> None:
    pacing = a_started_pacing()
    assert pacing.played(60.0) <= pacing.sent


def test_nothing_leaves_when_nothing_is_ready() -> None:
    assert Pacing().at_once(0.0, 0) == 0
    assert Pacing().at_tick(0.0, 0) == 0


def test_what_a_starving_gateway_did_not_get_is_to_be_sent_again() -> None:
    pacing = a_started_pacing()
    report(pacing, frames(3), queued=frames(0), now=0.1)
    assert pacing.lost(0.1) is None
    report(pacing, frames(3), queued=frames(0), now=0.2)
    assert pacing.lost(0.2) is None
    report(pacing, frames(3), queued=frames(0), now=0.4)
    assert pacing.lost(0.4) == frames(3)
    pacing.go_back(frames(3))
    assert pacing.lost(0.4) is None
    assert pacing.at_once(0.4, MANY) == 8


def test_a_gateway_that_is_held_or_has_all_is_not_taken_for_starving() -> None:
    pacing = a_started_pacing()
    for now in (0.1, 0.5, 1.0):
        report(pacing, frames(3), queued=frames(0), held=True, now=now)
        assert pacing.lost(now) is None
    for now in (2.0, 2.5, 3.0):
        report(pacing, pacing.sent, queued=frames(0), now=now)
        assert pacing.lost(now) is None


@given(
    lead_ms=st.integers(20, 1_000),
    steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 30)), min_size=1, max_size=300),
)
def test_the_lead_is_never_exceeded_over_a_gateway_that_plays_in_time(
    lead_ms: int, steps: list[tuple[bool, bool, int]]
) -> None:
    """The gateway pulls a frame per 20 ms when it has one and reports every 100 ms and when it is held or released."""
    pacing = Pacing(lead_ms=Millis(lead_ms))
    played, held = 0, False
    for step, (toggles, reports, ready) in enumerate(steps):
        now = step * 0.02
        if not held and frames(played) < pacing.sent:
            played += 1
        held = held != toggles
        if toggles or reports or step % 5 == 0:
            report(pacing, frames(played), held=held, now=now)
        sent(pacing, pacing.at_once(now, ready))
        sent(pacing, pacing.at_tick(now, ready))
        assert pacing.sent - frames(played) <= max(FRAMES, lead_ms * 48)
