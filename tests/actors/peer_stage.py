"""A peer among fakes: what a transport, a voice worker and a session do to it, by hand."""

from dataclasses import dataclass, field

from actors.peer import Peer
from actors.peer_ports import PeerLimits
from protocol.audio import Frame
from protocol.conversation import (
    Playout,
    SessionConfig,
)
from protocol.hearing import SpeechStarted
from protocol.ids import Samples, SessionId, WorkerName
from protocol.subjects import tts_frames
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.fakes.link import FakeLink
from tests.fakes.session import FakeSession, Sessions
from tests.fakes.speech import ONE, frames

SESSION = SessionId("one")
WORKER = WorkerName("tts-fake-0")
MIC = bytes(640)
STARTED = SpeechStarted(session=SESSION, at=Samples(512), probability=0.9)


@dataclass
class Stage:
    """A peer and all that it meets."""

    bus: FakeBus = field(default_factory=FakeBus)
    ears: FakeDetector = field(default_factory=FakeDetector)
    link: FakeLink = field(default_factory=FakeLink)
    clock: FakeClock = field(default_factory=FakeClock)
    sessions: Sessions = field(default_factory=Sessions)
    detached: list[Peer] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    limits: PeerLimits = field(default_factory=PeerLimits)
    peer: Peer = field(init=False)

    def __post_init__(self) -> None:
        self.peer = Peer(
            session=SESSION,
            config=SessionConfig(),
            link=self.link,
            bus=self.bus,
            ears=self.ears,
            make_session=self.sessions,
            on_detached=self.detached.append,
            on_over=lambda _, reason: self.over.append(reason),
            limits=self.limits,
            clock=self.clock,
            wall_clock=lambda: 1.5,
        )

    @property
    def session(self) -> FakeSession:
        return self.sessions.only

    async def speak(self, *speech: Frame) -> None:
        for frame in speech:
            self.bus.publish_frame(tts_frames(SESSION, WORKER), frame)
        await self.bus.settle(3)

    def pull(self, count: int = 1) -> list[Frame | None]:
        pulled = []
        for _ in range(count):
            self.clock.advance(0.02)
            pulled.append(self.peer.pull())
        return pulled

    def playouts(self) -> list[Playout]:
        return list(self.bus.said(Playout))


async def a_peer() -> Stage:
    """A peer that nobody has spoken to yet."""
    stage = Stage()
    await stage.peer.start()
    return stage


async def a_speaking_peer() -> Stage:
    """Ten frames of turn 1 are here, of many."""
    stage = await a_peer()
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(10, of=100))
    return stage
