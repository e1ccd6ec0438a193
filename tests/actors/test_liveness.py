import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from actors.gateway import Gateway
from actors.liveness import LivingRegistry
from actors.router import Router
from protocol.conversation import SessionConfig
from protocol.ids import Millis, ModelId, UnixMicros, WorkerName
from protocol.subjects import worker_event
from protocol.workers import Announcement, Pulse, WorkerKind
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.fakes.registry import FakeRegistry
from tests.fakes.session import Sessions

NAME = WorkerName("tts-hibari-0")
OTHER = WorkerName("tts-piper-0")
BORN = UnixMicros(7)


def worker(name: WorkerName = NAME, *, started_at: int = BORN, pulse_ms: int = 250, sessions: int = 0) -> Announcement:
    return Announcement(name=name, addr="nats", started_at=UnixMicros(started_at), pulse_ms=pulse_ms, sessions=sessions)


@dataclass
class Scene:
    """A living registry over one in memory; time passes by hand."""

    bus: FakeBus = field(default_factory=FakeBus)
    clock: FakeClock = field(default_factory=FakeClock)
    beneath: FakeRegistry = field(default_factory=FakeRegistry)
    heard: list[tuple[WorkerName, Announcement | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = LivingRegistry(
            self.beneath, self.bus, limit_ms=Millis(750), clock=self.clock, call_later=self.clock.call_later
        )

    async def pulse(self, name: WorkerName = NAME, *, started_at: int = BORN) -> None:
        self.bus.publish(worker_event(name), Pulse(worker=name, started_at=UnixMicros(started_at)))
        await self.bus.settle()

    async def pulses(self, seconds: float, *names: WorkerName) -> None:
        for _ in range(round(seconds / 0.25)):
            self.clock.advance(0.25)
            for name in names:
                await self.pulse(name)

    @property
    def names(self) -> Sequence[WorkerName]:
        return [announcement.name for announcement in self.registry.snapshot()]

    @property
    def last(self) -> tuple[WorkerName, bool]:
        name, announcement = self.heard[-1]
        return name, announcement is not None


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    await scene.registry.watch(lambda name, announcement: scene.heard.append((name, announcement)))
    await scene.beneath.announce(worker())
    await scene.pulse()
    return scene


async def test_a_worker_that_falls_silent_is_gone_within_0_8_s(scene: Scene) -> None:
    await scene.pulses(2, NAME)
    scene.clock.advance(0.7)
    assert scene.names == [NAME]
    scene.clock.advance(0.1)
    assert scene.names == []
    assert scene.last == (NAME, False)
    scene.clock.advance(60)
    assert len(scene.heard) == 2


async def test_a_pulse_brings_it_back_with_the_newest_that_it_said_of_itself(scene: Scene) -> None:
    scene.clock.advance(1)
    await scene.beneath.announce(worker(sessions=3))
    assert scene.last == (NAME, False)
    await scene.pulse()
    assert scene.heard[-1] == (NAME, worker(sessions=3))
    assert scene.names == [NAME]


async def test_only_the_silent_one_is_gone(scene: Scene) -> None:
    await scene.beneath.announce(worker(OTHER))
    await scene.pulses(3, OTHER)
    assert scene.names == [OTHER]


async def test_a_restarted_worker_is_there_as_soon_as_it_is_announced(scene: Scene) -> None:
    scene.clock.advance(1)
    await scene.beneath.announce(worker(started_at=8))
    assert scene.heard[-1] == (NAME, worker(started_at=8))
    assert scene.names == [NAME]


async def test_a_silent_worker_that_is_withdrawn_is_not_gone_twice(scene: Scene) -> None:
    scene.clock.advance(1)
    await scene.beneath.withdraw(NAME)
    assert [announcement for _, announcement in scene.heard].count(None) == 1
    await scene.pulse()
    assert scene.names == []
    assert scene.last == (NAME, False)


async def test_who_sends_no_pulse_stays(scene: Scene) -> None:
    await scene.beneath.announce(worker(OTHER, pulse_ms=0))
    scene.clock.advance(60)
    assert scene.names == [OTHER]


async def test_a_pulse_in_another_s_name_counts_for_nobody(scene: Scene) -> None:
    for _ in range(4):
        scene.clock.advance(0.25)
        scene.bus.publish(worker_event(OTHER), Pulse(worker=NAME, started_at=BORN))
        await scene.bus.settle()
    assert scene.names == []


async def test_nobody_is_condemned_while_the_bus_is_down_or_just_back(scene: Scene) -> None:
    scene.bus.disconnect()
    scene.clock.advance(10)
    assert scene.names == [NAME]
    scene.bus.reconnect()
    scene.clock.advance(3)
    assert scene.names == [NAME]
    await scene.pulses(2, NAME)
    assert scene.names == [NAME]
    scene.clock.advance(5)
    assert scene.names == []


async def test_nobody_is_condemned_for_what_our_own_loop_was_late(scene: Scene) -> None:
    await scene.pulses(1, NAME)
    scene.clock.now += 5  # nothing ran for so long, and what came meanwhile is not read yet
    scene.clock.advance(0)
    assert scene.names == [NAME]
    await scene.pulse()
    await scene.pulses(1, NAME)
    assert len(scene.heard) == 1


async def test_a_closed_registry_judges_nobody(scene: Scene) -> None:
    await scene.registry.close()
    scene.clock.advance(10)
    assert scene.clock.waiting == 0
    assert scene.last == (NAME, True)


@pytest.mark.parametrize("kind", ["asr", "tts"])
async def test_readiness_misses_the_only_worker_of_a_kind_within_a_second_and_sees_it_again(kind: WorkerKind) -> None:
    scene = Scene()
    router = Router(scene.registry)
    await router.start()
    gateway = Gateway(
        bus=scene.bus,
        choice=router,
        ears=FakeDetector(),
        make_session=Sessions(),
        defaults=SessionConfig(voice="hibari-heart", language="en"),
    )
    names: dict[WorkerKind, WorkerName] = {"asr": WorkerName("asr-whisper-0"), "tts": NAME}
    for of_kind, name in names.items():
        models = (ModelId("hibari-heart"),)
        said = dataclasses.replace(worker(name), kind=of_kind, models=models, resident_models=models)
        await scene.beneath.announce(said)
        await scene.pulse(name)
    assert gateway.readiness().ready
    await scene.pulses(1, *(name for of_kind, name in names.items() if of_kind != kind))
    readiness = gateway.readiness()
    assert not readiness.ready
    assert [missing.partition(":")[0] for missing in readiness.missing] == [
        {"asr": "speech recognition", "tts": "voice"}[kind]
    ]
    await scene.pulse(names[kind])
    assert gateway.readiness().ready
