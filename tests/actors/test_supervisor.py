import asyncio
from itertools import count

import pytest

from actors.supervisor import Part, Supervisor, said_of
from protocol.errors import AntiphonError, ModelUnavailable

SOON_S = 5.0


class FakePart:
    """A part that a test kills, or that cannot be started."""

    def __init__(self, name: str, diary: list[str], *, essential: bool = True, failures: int = 0) -> None:
        self._name = name
        self._diary = diary
        self._essential = essential
        self._failures = failures
        self._ended: asyncio.Event | None = None
        self._status = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def is_essential(self) -> bool:
        return self._essential

    @property
    def may_end(self) -> bool:
        return True

    async def start(self) -> str:
        await asyncio.sleep(0)
        if self._failures:
            self._failures -= 1
            raise ModelUnavailable(f"{self.name} has no model")
        self._ended = asyncio.Event()
        self._diary.append(f"start {self.name}")
        return f"at {self.name}"

    async def wait(self) -> int:
        assert self._ended is not None
        await self._ended.wait()
        return self._status

    async def stop(self) -> None:
        self._diary.append(f"stop {self.name}")

    def die(self, status: int = -9) -> None:
        assert self._ended is not None
        self._status = status
        self._ended.set()


class Audience:
    """Writes down what it is told, and waits for it."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[str] = asyncio.Queue()

    def ready(self, part: str, detail: str, after_s: float) -> None:
        del after_s
        self._told.put_nowait(f"{part} is ready {detail}")

    def lost(self, part: str, reason: str, pause_s: float) -> None:
        self._told.put_nowait(f"{part} {reason}, again in {pause_s:.1f} s")

    def retired(self, part: str) -> None:
        self._told.put_nowait(f"{part} is retired")

    def usable(self) -> None:
        self._told.put_nowait("usable")

    async def told(self, number: int) -> list[str]:
        return [await asyncio.wait_for(self._told.get(), SOON_S) for _ in range(number)]


class Run:
    """A supervisor at work."""

    def __init__(self, *layers: list[Part]) -> None:
        self.audience = Audience()
        self._stop = asyncio.Event()
        ticks = count()
        supervisor = Supervisor(layers, audience=self.audience, clock=lambda: float(next(ticks)))
        self.task = asyncio.create_task(supervisor.run(self._stop, when_usable=self.audience.usable))

    async def told(self, number: int) -> list[str]:
        return await self.audience.told(number)

    async def end(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self.task, SOON_S)


async def test_all_are_started_side_by_side_and_then_the_system_is_usable() -> None:
    diary: list[str] = []
    run = Run([FakePart("a", diary)], [FakePart("b", diary), FakePart("c", diary)])
    assert await run.told(4) == ["a is ready at a", "b is ready at b", "c is ready at c", "usable"]
    await run.end()


async def test_they_end_from_the_last_layer_to_the_first() -> None:
    diary: list[str] = []
    run = Run([FakePart("foundation", diary)], [FakePart("roof", diary)])
    await run.told(3)
    diary.clear()
    await run.end()
    assert diary == ["stop roof", "stop foundation"]


async def test_who_dies_is_started_again_and_both_are_told() -> None:
    diary: list[str] = []
    part = FakePart("a", diary)
    run = Run([part])
    await run.told(2)
    part.die()
    assert await run.told(2) == ["a killed by signal 9, again in 0.1 s", "a is ready at a"]
    assert diary == ["start a", "start a"]
    await run.end()


async def test_who_ends_as_it_was_asked_to_stays_ended_and_the_others_live_on() -> None:
    diary: list[str] = []
    drained, other = FakePart("drained", diary), FakePart("other", diary)
    run = Run([drained, other])
    await run.told(3)
    drained.die(status=0)
    assert await run.told(1) == ["drained is retired"]
    other.die()
    assert len(await run.told(2)) == 2
    assert diary.count("start drained") == 1
    await run.end()


async def test_the_others_live_on_when_one_dies() -> None:
    diary: list[str] = []
    dying, living = FakePart("dying", diary), FakePart("living", diary)
    run = Run([dying, living])
    await run.told(3)
    dying.die()
    await run.told(2)
    assert diary.count("start living") == 1
    await run.end()


async def test_what_the_others_need_must_start_the_first_time() -> None:
    diary: list[str] = []
    run = Run([FakePart("other", diary), FakePart("a", diary, failures=1)])
    with pytest.raises(AntiphonError, match="a has no model"):
        await asyncio.wait_for(run.task, SOON_S)
    assert diary[-2:] == ["stop other", "stop a"]


async def test_what_the_others_need_is_tried_again_once_it_has_run() -> None:
    part = FakePart("a", [])
    run = Run([part])
    await run.told(2)
    part._failures = 1
    part.die()
    told = await run.told(3)
    assert told[1:] == ["a a has no model, again in 0.3 s", "a is ready at a"]
    await run.end()


async def test_the_rest_starts_when_the_essential_ones_serve_and_is_tried_again_in_the_background() -> None:
    diary: list[str] = []
    run = Run([FakePart("extra", diary, essential=False, failures=1), FakePart("a", diary)])
    told = await run.told(4)
    assert told[0] == "a is ready at a"
    assert sorted(told[1:]) == sorted(["usable", "extra extra has no model, again in 0.1 s", "extra is ready at extra"])
    assert diary == ["start a", "start extra"]
    await run.end()


def test_an_end_is_said_in_words() -> None:
    assert [said_of(status) for status in (-9, 3, 0)] == ["killed by signal 9", "ended with status 3", "ended"]
