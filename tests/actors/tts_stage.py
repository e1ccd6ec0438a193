"""A TTS worker between a bus in memory and a gateway that pulls, all in a time that the test moves on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

import numpy as np

from actors.policies.playout import PlayoutGate
from actors.tts_worker import TtsWorker
from actors.voices import Voice
from adapters.audio.mastering import calibrate
from protocol.audio import SPEECH_FRAME, Flags, Frame
from protocol.conversation import Playout
from protocol.ids import ModelId, Samples, SessionId, TurnId, WorkerName
from protocol.message import Message
from protocol.ports import Cloner, Pcm, Synthesizer
from protocol.speaking import Pause, PhrasePlaced, Resume, StartSpeaking, Stop, TextChunk
from protocol.subjects import session_playout, tts_command, tts_event, tts_frames
from tests.fakes.bus import FakeBus
from tests.fakes.registry import FakeRegistry
from tests.fakes.voices import FakeSynthesizer

WORKER: Final = WorkerName("tts-fake-0")
MODEL: Final = ModelId("fake-one")
ONE, TWO = TurnId(1), TurnId(2)
TEXT: Final = "One two three four."
_WAIT_S: Final = 10.0
_M = TypeVar("_M", bound=Message)


class ManualTime:
    """Stands still between steps; what was to be called by then is called in order."""

    def __init__(self) -> None:
        self.now = 100.0
        self._ids = count()
        self._calls: dict[int, tuple[float, Callable[[], None]]] = {}

    def __call__(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> "_Call":
        number = next(self._ids)
        self._calls[number] = (when, call)
        return _Call(self._calls, number)

    @property
    def waiting(self) -> int:
        """How many calls are to come."""
        return len(self._calls)

    def advance(self, seconds: float) -> None:
        end = round(self.now + seconds, 6)
        while due := [(when, n) for n, (when, _) in self._calls.items() if when <= end + 1e-9]:
            when, number = min(due)
            self.now = max(self.now, when)
            self._calls.pop(number)[1]()
        self.now = end


@dataclass
class _Call:
    calls: dict[int, tuple[float, Callable[[], None]]]
    number: int

    def cancel(self) -> None:
        self.calls.pop(self.number, None)


@dataclass
class Client:
    """A session's gate, pulled every 20 ms as a transport does."""

    session: SessionId
    bus: FakeBus
    gate: PlayoutGate = field(default_factory=PlayoutGate)
    got: list[Frame] = field(default_factory=list)
    heard: list[Frame] = field(default_factory=list)
    loses: Callable[[Frame], bool] = lambda _: False
    lead: int = 0
    _pulls: int = 0

    def on_frame(self, _subject: object, frame: Frame) -> None:
        if self.loses(frame):
            return
        self.got.append(frame)
        self.gate.offer(frame)
        if frame.turn == self.gate.turn:
            self.lead = max(self.lead, frame.end - self.gate.played)

    def pull(self) -> None:
        """20 ms pass at the client; the gateway reports each 100 ms, and while it starves."""
        pulled = self.gate.pull()
        if pulled is not None and not pulled.frame.flags & Flags.COMFORT:
            self.heard.append(pulled.frame)
        self._pulls += 1
        if self._pulls % 5 == 0 or (pulled is not None and (pulled.first or pulled.last)):
            self.report()

    def report(self) -> None:
        gate = self.gate
        self.bus.publish(
            session_playout(self.session),
            Playout(session=self.session, turn=gate.turn, played=gate.played, queued=gate.queued, held=gate.held),
        )

    def sound(self, turn: TurnId = ONE) -> Pcm:
        """What was heard of a turn; it must be without gaps."""
        frames = [frame for frame in self.heard if frame.turn == turn]
        assert [frame.position for frame in frames] == [i * SPEECH_FRAME for i in range(len(frames))]
        return np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(np.float32)


class Stage:
    """The worker, its sessions' clients, and the director's hands."""

    def __init__(self, bus: FakeBus, registry: FakeRegistry, worker: TtsWorker, time: ManualTime) -> None:
        self.bus = bus
        self.registry = registry
        self.worker = worker
        self.time = time
        self.clients: dict[SessionId, Client] = {}
        self._events = asyncio.Condition()

    async def client(self, name: str = "s1", *, model: ModelId | None = None, reference: str | None = None) -> Client:
        """One more session, with its voice held ready."""
        session = SessionId(name)
        client = self.clients[session] = Client(session, self.bus)
        await self.bus.subscribe_frames(tts_frames(session), client.on_frame)
        start = StartSpeaking(session=session, model=model, reference=reference)
        await self.bus.request(tts_command(session, WORKER), start)
        return client

    def command(self, message: Message) -> None:
        self.bus.publish(tts_command(message.session, WORKER), message)  # type: ignore[attr-defined]  # all have one

    async def say(self, client: Client, *texts: str, turn: TurnId = ONE, last: bool = True, index: int = 0) -> None:
        """Send a turn's pieces and wait until they are synthesised (as far as the bound ahead allows)."""
        client.gate.expect(turn)
        client.report()
        for i, text in enumerate(texts):
            self.send_text(client, text, turn=turn, index=index + i, last=last and i == len(texts) - 1)
        wanted = {index + i for i, text in enumerate(texts) if text}
        await self.until(lambda: wanted <= self._done(client.session, turn))
        await self.bus.settle()

    def send_text(self, client: Client, text: str, *, turn: TurnId = ONE, index: int = 0, last: bool = True) -> None:
        self.command(TextChunk(session=client.session, turn=turn, index=index, text=text, last=last))

    async def pause(self, client: Client, turn: TurnId = ONE) -> None:
        client.gate.hold(turn)
        client.report()
        self.command(Pause(session=client.session, turn=turn))
        await self.bus.settle()

    async def resume(self, client: Client, turn: TurnId = ONE) -> None:
        client.gate.release(turn)
        self.command(Resume(session=client.session, turn=turn, from_sample=client.gate.wanted))
        client.report()
        await self.bus.settle()

    async def stop(self, client: Client, turn: TurnId = ONE) -> None:
        client.gate.flush(turn)
        self.command(Stop(session=client.session, turn=turn))
        await self.bus.settle()

    async def play(self, frames: int) -> None:
        """Let time pass, 20 ms a frame."""
        for _ in range(frames):
            self.time.advance(0.02)
            await self.bus.settle(6)
            for client in self.clients.values():
                client.pull()
            await self.bus.settle(6)

    async def play_out(self, client: Client, *, limit: int = 2_000) -> None:
        """Until the client has had the last frame of its turn."""
        for _ in range(limit):
            if client.gate.finished:
                return
            await self.play(1)
        raise AssertionError("the turn does not end")

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for the model's thread to bring something about."""
        async with asyncio.timeout(_WAIT_S), self._events:
            await self._events.wait_for(happened)

    def events(self, client: Client, kind: type[_M]) -> list[_M]:
        return [message for message in self.bus.said(kind) if message.session == client.session]

    async def notice(self) -> None:
        """Something was published."""
        async with self._events:
            self._events.notify_all()

    def _done(self, session: SessionId, turn: TurnId) -> set[int]:
        placed: list[PhrasePlaced] = self.bus.said(PhrasePlaced)
        return {p.index for p in placed if p.session == session and p.turn == turn and p.end is not None}


@asynccontextmanager
async def a_stage(
    *synthesizers: Synthesizer,
    load: Callable[[], Synthesizer] | None = None,
    voices: Sequence[Voice] = (),
    **options: object,
) -> AsyncIterator[Stage]:
    """A worker with these voices (a fake one if none is named), subscribed and warm."""
    bus, registry, time = FakeBus(), FakeRegistry(), ManualTime()
    voices = voices or [
        Voice(
            model=s.model,
            languages=("en",),
            load=load or (lambda s=s: s),  # type: ignore[misc]  # a default binds s
            clones=isinstance(s, Cloner),
        )
        for s in synthesizers or (FakeSynthesizer(),)
    ]
    worker = TtsWorker(
        name=WORKER,
        bus=bus,
        registry=registry,
        voices=voices,
        clock=time,
        call_at=time.call_at,
        **{"calibrate": calibrate, **options},  # type: ignore[arg-type]  # the tests' own
    )
    await worker.open()
    stage = Stage(bus, registry, worker, time)
    tasks: set[asyncio.Task[None]] = set()

    def on_event(*_: object) -> None:
        task = asyncio.get_running_loop().create_task(stage.notice())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    events = await bus.subscribe(tts_event(SessionId("*"), WORKER), on_event)
    try:
        yield stage
    finally:
        events.cancel()
        await worker.close()


def samples(frames: list[Frame]) -> Samples:
    return Samples(len(frames) * SPEECH_FRAME)
