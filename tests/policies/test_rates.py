from hypothesis import given
from hypothesis import strategies as st

from actors.policies.rates import TokenBucket


def test_a_burst_is_granted_and_then_only_the_rate() -> None:
    bucket = TokenBucket(rate=10.0, burst=3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.1) for _ in range(2)] == [True, False]


def test_time_that_was_not_used_is_not_saved_beyond_the_burst() -> None:
    bucket = TokenBucket(rate=10.0, burst=2.0)
    bucket.take(0.0)
    assert [bucket.take(1_000.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_grants_nothing() -> None:
    bucket = TokenBucket(rate=10.0, burst=1.0)
    assert bucket.take(5.0)
    assert not bucket.take(1.0)


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_never_more_than_the_rate_and_one_burst(pauses: list[float]) -> None:
    bucket = TokenBucket(rate=10.0, burst=5.0)
    now, granted = 0.0, 0
    for pause in pauses:
        now += pause
        granted += bucket.take(now)
        assert granted <= 5.0 + 10.0 * now + 1e-6
