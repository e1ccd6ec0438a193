import asyncio
from typing import TYPE_CHECKING

from adapters.transport.ticker import PHASES, Ticker

if TYPE_CHECKING:
    from collections.abc import Callable


async def collect(ticker: Ticker, count: int) -> list[int]:
    """The numbers of so many periods."""
    seen: list[int] = []
    done = asyncio.Event()

    def on_tick(now: int) -> None:
        seen.append(now)
        if len(seen) == count:
            done.set()

    leave = ticker.join(on_tick)
    async with asyncio.timeout(5):
        await done.wait()
    leave()
    return seen


async def test_each_period_is_told_at_most_once_and_late_ones_are_skipped() -> None:
    seen = await collect(Ticker(), 10)
    assert seen == sorted(set(seen))


async def test_ticks_follow_the_clock_and_do_not_drift() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    seen = await collect(Ticker(), 10)
    elapsed = loop.time() - begin
    assert (seen[-1] - seen[0]) * 0.02 <= elapsed + 0.02


async def test_members_are_spread_over_the_period() -> None:
    ticker = Ticker()
    leaves = [ticker.join(lambda _: None) for _ in range(2 * PHASES)]
    assert [len(phase) for phase in ticker._phases] == [2] * PHASES
    for leave in leaves:
        leave()
        leave()
    assert [len(phase) for phase in ticker._phases] == [0] * PHASES
    assert all(phase._timer is None for phase in ticker._phases)


async def test_one_that_fails_gets_no_more_and_the_others_go_on() -> None:
    ticker = Ticker()
    failures: list[int] = []

    def fail(now: int) -> None:
        failures.append(now)
        raise RuntimeError("a fault")

    for _ in range(PHASES):
        ticker.join(fail)
    await collect(ticker, 5)
    assert len(failures) <= PHASES


async def test_one_may_leave_while_it_is_told() -> None:
    ticker = Ticker()
    seen: list[int] = []
    left = asyncio.Event()

    def on_tick(now: int) -> None:
        seen.append(now)
        leave()
        left.set()

    leave = ticker.join(on_tick)
    async with asyncio.timeout(5):
        await left.wait()
    await collect(ticker, 3)
    assert len(seen) == 1


async def test_one_may_join_while_another_is_told_and_is_told_once_per_period() -> None:
    ticker = Ticker()
    seen: list[int] = []
    leaves: list[Callable[[], None]] = []
    done = asyncio.Event()

    def on_tick(now: int) -> None:
        seen.append(now)
        if len(seen) == 8:
            done.set()

    def join_once(_: int) -> None:
        if not leaves:
            leaves.extend(ticker.join(lambda _: None) for _ in range(PHASES - 1))
            leave_first()
            leaves.append(ticker.join(on_tick))

    leave_first = ticker.join(join_once)
    async with asyncio.timeout(5):
        await done.wait()
    for leave in leaves:
        leave()
    assert seen == sorted(set(seen))
