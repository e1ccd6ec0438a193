"""One timer, one grid, no drift."""

from actors.tts_pacer import GRID_S, Pacer
from tests.actors.tts_stage import ManualTime


class Stream:
    """Wants `ticks` ticks."""

    def __init__(self, time: ManualTime, ticks: int) -> None:
        self._time = time
        self._left = ticks
        self.at: list[float] = []
        self.points: list[int] = []

    def tick(self, now: float, points: int) -> bool:
        self.at.append(round(now - 100.0, 6))
        self.points.append(points)
        self._left -= 1
        return self._left > 0


def a_pacer() -> tuple[Pacer, ManualTime]:
    time = ManualTime()
    return Pacer(clock=time, call_at=time.call_at), time


def test_ticks_stand_on_the_grid_whenever_a_stream_was_woken() -> None:
    pacer, time = a_pacer()
    stream = Stream(time, 3)
    time.advance(0.013)
    pacer.wake(stream)
    time.advance(1.0)
    assert stream.at == [0.02, 0.04, 0.06]
    assert stream.points == [1, 1, 1]


def test_all_streams_share_one_timer_which_ends_with_the_last() -> None:
    pacer, time = a_pacer()
    streams = [Stream(time, ticks) for ticks in (1, 5, 10)]
    for stream in streams:
        pacer.wake(stream)
        pacer.wake(stream)
    assert time.waiting == 1
    time.advance(0.1)
    assert time.waiting == 1
    time.advance(0.1)
    assert time.waiting == 0
    assert [len(stream.at) for stream in streams] == [1, 5, 10]


def test_the_grid_does_not_drift() -> None:
    pacer, time = a_pacer()
    stream = Stream(time, 5_000)
    pacer.wake(stream)
    time.advance(200.0)
    assert stream.at[-1] == round(5_000 * GRID_S, 6)


def test_points_that_a_busy_loop_missed_are_made_up_for_at_the_next_tick() -> None:
    pacer, time = a_pacer()
    stream = Stream(time, 100)
    pacer.wake(stream)
    time.advance(0.02)
    late = time.now + 0.065
    time.now = late
    time.advance(0.0)
    time.advance(0.02)
    assert stream.points == [1, 3, 1]


def test_a_timer_that_is_early_does_not_tick_its_point_twice() -> None:
    pacer, time = a_pacer()
    stream = Stream(time, 10)
    pacer.wake(stream)
    (call,) = [call for _, call in time._calls.values()]
    time._calls.clear()
    time.now += 0.0199
    call()
    time.advance(0.0201)
    assert len(stream.at) == 2


def test_a_stream_that_rests_is_not_ticked() -> None:
    pacer, time = a_pacer()
    stream = Stream(time, 10)
    pacer.wake(stream)
    time.advance(0.02)
    pacer.rest(stream)
    time.advance(1.0)
    assert len(stream.at) == 1
