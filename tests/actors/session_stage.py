"""A session on a stage: everything around it is a fake that a test steps by hand; time passes when the test says so."""

import dataclasses
from collections.abc import Callable
from typing import Any

from actors.feed import Feed
from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking import TurnTakingSettings
from actors.session import Session
from actors.sessions.standing import Note, ignore
from protocol.audio import MIC_FRAME, SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import Accepted, CommandRefused, SessionConfig
from protocol.hearing import (
    EndListening,
    FinalTranscript,
    PartialTranscript,
    SpeechLikely,
    SpeechStarted,
    SpeechStopped,
    SpeechUnlikely,
    StartListening,
    Transcribe,
    TranscriptionFailed,
)
from protocol.ids import Millis, ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Respond
from protocol.speaking import (
    EndSpeaking,
    PhrasePlaced,
    SpeakingReady,
    SpeakingRefused,
    SpeechFinished,
    StartSpeaking,
    TextChunk,
)
from protocol.subjects import ANY_SESSION, Subject, asr_command, asr_event, tts_command, tts_event, worker
from protocol.workers import Announcement, WorkerDescribed, WorkerState
from tests.fakes.bus import FakeBus
from tests.fakes.replies import ScriptedReplies
from tests.fakes.router import FakeRouter

SID = SessionId("s1")
TTS = WorkerName("tts-hibari-0")
OTHER_TTS = WorkerName("tts-piper-0")
ASR = WorkerName("asr-whisper-0")
CONFIG = SessionConfig(
    voice="hibari-heart",
    language="en",
    speed=1.0,
    barge_in="words",
    end_of_turn_ms=Millis(500),
    resume_delay_ms=Millis(250),
    tentative_hold=True,
    system_prompt="Be brief.",
)


def tts_worker(name: WorkerName = TTS, *models: str, started_at: int = 1) -> Announcement:
    return Announcement(
        name=name,
        kind="tts",
        addr="nats",
        models=tuple(ModelId(m) for m in models or ("hibari-heart",)),
        started_at=UnixMicros(started_at),
    )


def asr_worker(name: WorkerName = ASR, *, started_at: int = 1, state: WorkerState = "ready") -> Announcement:
    return Announcement(name=name, kind="asr", addr="nats", state=state, started_at=UnixMicros(started_at))


class _Gate(PlayoutGate):
    """Notes when it is closed."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def hold(self, turn: TurnId) -> None:
        self._order.append("gate")
        super().hold(turn)


class _Bus(FakeBus):
    """Notes what is published, and when."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def publish(self, subject: Subject, message: Message) -> None:
        self._order.append(type(message).__name__)
        super().publish(subject, message)

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        self._order.append(f"frame {frame.sequence}")
        return super().publish_frame(subject, frame)

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        self._order.append(type(message).__name__)
        return await super().request(subject, message, timeout_s=timeout_s)


class Stage:
    """The session and all that it meets."""

    def __init__(
        self,
        *scripts: Any,
        config: SessionConfig = CONFIG,
        settings: TurnTakingSettings | None = None,
        router: FakeRouter | None = None,
        note: Note = ignore,
    ) -> None:
        self.seconds = 100.0
        self.order: list[str] = []
        self.bus = _Bus(self.order)
        self.gate = _Gate(self.order)
        self.router = router or FakeRouter(tts_worker(), asr_worker())
        self.feed = Feed(session=SID, bus=self.bus)
        self.replies = ScriptedReplies(*scripts)
        self.emitted: list[Message] = []
        self.refusing: set[str] = set()
        self.silent_workers: set[WorkerName] = set()
        self.full: set[WorkerName] = set()
        self.full_workers: set[WorkerName] = set()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._sent: dict[TurnId, int] = {}
        self.session = Session(
            session=SID,
            config=config,
            bus=self.bus,
            gate=self.gate,
            sound=self.feed,
            router=self.router,
            replies=self.replies,
            clock=lambda: self.seconds,
            emit=self._emit,
            call_later=self._call_later,
            settings=settings,
            note=note,
        )

    async def open(self) -> "Stage":
        await self.serve_tts(TTS)
        await self.serve_asr(ASR)
        await self.session.start()
        await self.bus.settle()
        return self

    def _emit(self, message: Message) -> None:
        self.order.append(type(message).__name__)
        self.emitted.append(message)

    # --- the workers ------------------------------------------------------------------------------------------------
    async def serve_tts(self, name: WorkerName) -> None:
        def on_command(_subject: Subject, message: Any, respond: Respond | None) -> None:
            if isinstance(message, StartSpeaking) and respond is not None and name not in self.silent_workers:
                model = message.model or ModelId("hibari-heart")
                if name in self.full:
                    respond(SpeakingRefused(session=message.session, code="too-many-sessions", reason="full"))
                elif model in self.refusing:
                    respond(SpeakingRefused(session=message.session, code="model-unavailable", reason="no files"))
                else:
                    respond(SpeakingReady(session=message.session, model=model, sample_rate=48_000, resident=True))

        def on_question(_subject: Subject, _message: Any, respond: Respond | None) -> None:
            if respond is not None and name not in self.silent_workers:
                respond(WorkerDescribed(worker=self.router.workers[name]))

        await self.bus.subscribe(tts_command(ANY_SESSION, name), on_command)
        await self.bus.subscribe(worker(name), on_question)

    async def serve_asr(self, name: WorkerName) -> None:
        def on_command(_subject: Subject, message: Any, respond: Respond | None) -> None:
            if not isinstance(message, StartListening) or respond is None or name in self.silent_workers:
                return
            if name in self.full_workers:
                respond(CommandRefused(session=message.session, code="too-many-sessions", reason="no room"))
            else:
                respond(Accepted(session=message.session))

        await self.bus.subscribe(asr_command(ANY_SESSION, name), on_command)

    async def understand(
        self, text: str, *, final: bool = True, quality: float = -0.2, worker: WorkerName = ASR
    ) -> None:
        """The ASR worker answers the newest request."""
        asked = self.asked()[-1]
        kind = FinalTranscript if final else PartialTranscript
        answer = kind(
            session=SID,
            request=asked.request,
            first=asked.first,
            end=asked.end,
            text=text,
            avg_logprob=quality,
            no_speech_prob=0.1,
            compute_ms=430.0,
        )
        self.bus.publish(asr_event(SID, worker), answer)
        await self.bus.settle()

    async def not_heard(self, worker: WorkerName = ASR) -> None:
        """The ASR worker does not hold what the newest request names."""
        failed = TranscriptionFailed(
            session=SID, request=self.asked()[-1].request, code="no-audio", reason="nothing of this range is held"
        )
        self.bus.publish(asr_event(SID, worker), failed)
        await self.bus.settle()

    async def place(self, turn: int, index: int, text: str, first: int, end: int | None, **more: Any) -> None:
        """The TTS worker says where a phrase stands, in frames."""
        placed = PhrasePlaced(
            session=SID,
            turn=TurnId(turn),
            index=index,
            text=text,
            first=Samples(first * SPEECH_FRAME),
            end=None if end is None else Samples(end * SPEECH_FRAME),
            **more,
        )
        await self.from_voice(placed)

    async def finish(self, turn: int, samples: int) -> None:
        await self.from_voice(SpeechFinished(session=SID, turn=TurnId(turn), samples=Samples(samples)))

    async def from_voice(self, message: Message, worker: WorkerName = TTS) -> None:
        self.bus.publish(tts_event(SID, worker), message)
        await self.bus.settle()

    def frames(self, turn: int, count: int, *, last: bool = False) -> int:
        """Speech arrives at the gate; how many frames were taken."""
        taken = 0
        for i in range(count):
            number = self._sent.get(TurnId(turn), 0)
            frame = Frame(
                kind=Kind.SPEECH,
                turn=TurnId(turn),
                sequence=number,
                position=Samples(number * SPEECH_FRAME),
                captured_at=UnixMicros(0),
                pcm=bytes([turn % 256, 1]) * SPEECH_FRAME,
                flags=Flags.LAST if last and i == count - 1 else Flags.NONE,
            )
            if self.gate.offer(frame):
                taken += 1
                self._sent[TurnId(turn)] = number + 1
        return taken

    # --- the client -------------------------------------------------------------------------------------------------
    def sound(self, *numbers: int) -> None:
        """These frames of the microphone are for the recognizer."""
        for number in numbers:
            self.feed.send(
                Frame(
                    kind=Kind.MICROPHONE,
                    turn=TurnId(0),
                    sequence=number,
                    position=Samples(number * MIC_FRAME),
                    captured_at=UnixMicros(0),
                    pcm=bytes(2 * MIC_FRAME),
                )
            )

    async def play(self, count: int) -> int:
        """The transport pulls, as a peer does; how many frames of speech it got."""
        got = 0
        for _ in range(count):
            pulled = self.gate.pull()
            if pulled is not None and Flags.COMFORT not in pulled.frame.flags:
                got += 1
                if pulled.first:
                    self.session.on_first_frame(pulled.frame.turn)
                if pulled.last:
                    self.session.on_last_frame(pulled.frame.turn)
                self.session.on_playout()
            await self.advance(20)
        return got

    def start_speaking(self, at: int | None = None) -> None:
        self.session.on_vad(SpeechStarted(session=SID, at=self.position(at), probability=0.9))

    def stop_speaking(self, at: int | None = None) -> None:
        self.session.on_vad(SpeechStopped(session=SID, at=self.position(at), probability=0.1))

    def likely(self) -> None:
        self.session.on_vad(SpeechLikely(session=SID, at=self.position(None), probability=0.6))

    def unlikely(self) -> None:
        self.session.on_vad(SpeechUnlikely(session=SID, at=self.position(None), probability=0.2))

    def position(self, at: int | None) -> Samples:
        return Samples(int((self.seconds - 100) * 16_000) + 16_000 if at is None else at)

    async def ask(self, text: str, *, speech_ms: int = 1_500) -> None:
        """The user says something, falls silent, and is understood."""
        self.start_speaking()
        await self.advance(speech_ms)
        self.stop_speaking()
        await self.advance(50)
        await self.understand(text)

    # --- time -------------------------------------------------------------------------------------------------------
    async def advance(self, ms: int) -> None:
        until = self.seconds + ms / 1000
        while self._timers and min(self._timers)[0] <= until:
            timer = min(self._timers)
            self._timers.remove(timer)
            self.seconds = max(self.seconds, timer[0])
            timer[2]()
            await self.bus.settle()
        self.seconds = until
        await self.bus.settle()

    def _call_later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        self._timer_count += 1
        timer = (self.seconds + delay_s + 1e-6, self._timer_count, call)
        self._timers.append(timer)

        def cancel() -> None:
            if timer in self._timers:
                self._timers.remove(timer)

        return cancel

    @property
    def timers(self) -> int:
        """How many are set."""
        return len(self._timers)

    # --- what was said ----------------------------------------------------------------------------------------------
    def asked(self) -> list[Transcribe]:
        return self.bus.said(Transcribe)

    def told(self, *kinds: type[Message]) -> list[Any]:
        return [m for m in self.emitted if isinstance(m, kinds)]

    def texts(self, turn: int) -> list[str]:
        """What the voice was given."""
        return [m.text for m in self.bus.said(TextChunk) if m.turn == turn]

    def starts(self) -> list[tuple[str, str | None]]:
        """Where the session had a voice started or ended: subject and model."""
        return [
            (str(subject), getattr(message, "model", None))
            for subject, message in self.bus.published
            if isinstance(message, StartSpeaking | EndSpeaking | StartListening | EndListening)
        ]


def with_config(**changes: Any) -> SessionConfig:
    return dataclasses.replace(CONFIG, **changes)
