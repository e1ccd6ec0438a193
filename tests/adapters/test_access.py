from adapters.transport.access import Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_address_may_try_so_often_at_once_and_then_once_a_second() -> None:
    clock = Clock()
    attempts = Attempts(burst=3, per_s=1.0, clock=clock)
    assert [attempts.grant("a") for _ in range(5)] == [True, True, True, False, False]
    clock.now += 1.0
    assert [attempts.grant("a") for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [attempts.grant("a") for _ in range(4)] == [True, True, True, False], "patience is not saved up"


def test_one_address_does_not_use_up_another_ones_attempts() -> None:
    attempts = Attempts(burst=1, per_s=1.0, clock=Clock())
    assert [attempts.grant(address) for address in ("a", "b", "a")] == [True, True, False]


def test_however_many_addresses_come_the_memory_is_bounded() -> None:
    attempts = Attempts(burst=1, per_s=1.0, clock=Clock())
    for number in range(5_000):
        attempts.grant(f"address-{number}")
    assert len(attempts._left) <= Attempts._ADDRESSES
    assert not attempts.grant("address-4999"), "who came last is remembered"
