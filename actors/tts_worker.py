"""A TTS worker: commands from the bus, voices on threads, frames on a 20 ms grid. On the loop.

Commands are handled within the bus's call-back: a pause takes effect before it returns.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from actors.mailbox import Mailbox
from actors.models import Models, Voice
from actors.tts import Key
from actors.tts_measures import Measures
from actors.tts_pacer import CallAt, Pacer
from actors.tts_rendition import Made
from actors.tts_sessions import SpeakingSessions
from actors.tts_turn import Surroundings
from protocol.audio import SPEECH_FRAME, SPEECH_RATE
from protocol.errors import ModelUnavailable, Refused
from protocol.ids import Millis, ModelId, UnixMicros, WorkerName
from protocol.ports import Bus, Calibrate, Respond, Subscription, WorkerRegistry
from protocol.speaking import EndSpeaking, Pause, Resume, StartSpeaking, Stop, TextChunk
from protocol.subjects import ANY_SESSION, Subject, tts_command, worker
from protocol.workers import (
    Announcement,
    Capabilities,
    Drain,
    GetCapabilities,
    ListModels,
    LoadModel,
    UnloadModel,
    WorkerDescribed,
    WorkerRefused,
)

_TICK_S: Final = 2.0
_FRAME_S: Final = SPEECH_FRAME / SPEECH_RATE

log = structlog.get_logger()


def _wall() -> UnixMicros:
    return UnixMicros(time.time_ns() // 1000)


class TtsWorker:
    """One process's share of the speaking: `run` serves until told to stop, or until drained."""

    def __init__(
        self,
        *,
        name: WorkerName,
        bus: Bus,
        registry: WorkerRegistry,
        voices: Sequence[Voice],
        calibrate: Calibrate,
        preload: Sequence[ModelId] = (),
        clock: Callable[[], float] = time.monotonic,
        call_at: CallAt | None = None,
        addr: str = "",
        capacity: int = 32,
        lead_ms: Millis = Millis(200),
        ahead_s: float = 6.0,
        forget_after_s: float = 600.0,
        drop_paused_after_s: float = 120.0,
    ) -> None:
        """The first of `voices` is the default one; `preload` (or else the default) is warm before it is announced.

        `call_at` (default: the loop's) sets the pacer's timer, in the time of `clock`.
        """
        self._name = name
        self._bus = bus
        self._registry = registry
        self._voices = voices
        self._calibrate = calibrate
        self._preload = tuple(preload) or tuple(voice.model for voice in voices[:1])
        self._clock = clock
        self._call_at = call_at
        self._lead_ms = lead_ms
        self._ahead_s = ahead_s
        self._forget_after_s = forget_after_s
        self._drop_paused_after_s = drop_paused_after_s
        self._capacity = capacity
        self._measures = Measures()
        self._wake = asyncio.Event()
        self._announcement = Announcement(
            name=name, addr=addr or f"nats://{name}", state="starting", capacity=capacity, started_at=_wall()
        )

    # --- its life ---------------------------------------------------------------------------------------------------
    async def run(self, stop: asyncio.Event) -> None:
        """Load and warm up what is preloaded, announce, serve.

        Raises:
            ModelUnavailable: when a model to preload cannot be loaded; the message says what to do.
        """
        opened: list[Subscription] = []
        await self.open()
        try:
            opened = await self.subscribe()
            await self._serve(stop)
        finally:
            for subscription in opened:
                subscription.cancel()
            await self._registry.withdraw(self._name)
            self.close()

    async def open(self) -> None:
        """Make ready to be spoken to. See `run`."""
        loop = asyncio.get_running_loop()
        self._models = Models(
            self._voices,
            calibrate=self._calibrate,
            mailbox=Mailbox(loop),
            ahead_s=self._ahead_s,
            on_made=self.on_made,
            on_failed=self._on_failed,
            on_died=self._on_died,
        )
        self._pacer = Pacer(clock=self._clock, call_at=self._call_at or loop.call_at)
        around = Surroundings(
            worker=self._name,
            bus=self._bus,
            pacer=self._pacer,
            clock=self._clock,
            wall=_wall,
            lead_ms=self._lead_ms,
            ahead_s=self._ahead_s,
            on_first_frame=self._measures.first_audio,
        )
        self._sessions = SpeakingSessions(self._models, around, capacity=self._capacity)
        for model in self._preload:
            try:
                await self._models.ensure(model)
            except Refused as error:
                raise ModelUnavailable(error.reason) from error
        capabilities = Capabilities(languages=self._models.languages, sample_rates=(SPEECH_RATE,))
        self._announcement = replace(
            self._announcement, capabilities=capabilities, models=self._models.known, state="ready"
        )
        log.info("tts worker ready", worker=self._name, models=self._models.resident)

    async def subscribe(self) -> list[Subscription]:
        """Listen for commands."""
        return [
            await self._bus.subscribe(tts_command(ANY_SESSION, self._name), self._on_command),
            await self._bus.subscribe(worker(self._name), self._on_worker_command),
        ]

    def close(self) -> None:
        """Be silent, and end the models' threads."""
        self._pacer.stop()
        self._sessions.end_all()
        self._models.stop()

    async def _serve(self, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        announced: Announcement | None = None
        try:
            while not stop.is_set() and not self._is_drained:
                self._wake.clear()
                self._sessions.end_silent(
                    self._clock(), after_s=self._forget_after_s, paused_s=self._drop_paused_after_s
                )
                if (described := self.describe()) != announced:
                    await self._registry.announce(described)
                    announced = described
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait((stopping, waking), timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
        finally:
            stopping.cancel()

    @property
    def _is_drained(self) -> bool:
        return self._sessions.draining and not any(session.is_speaking for session in self._sessions)

    def describe(self) -> Announcement:
        """The worker as it is now."""
        waiting = sum(session.unspoken_pieces for session in self._sessions)
        return replace(
            self._announcement,
            resident_models=self._models.resident,
            metrics=self._measures.load(queue_depth=waiting),
            state="draining" if self._sessions.draining else self._announcement.state,
            sessions=len(self._sessions),
        )

    # --- commands ---------------------------------------------------------------------------------------------------
    def _on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        match message:
            case StartSpeaking():
                self._sessions.open(message, respond)
                return
            case EndSpeaking(session=name):
                self._sessions.end(name)
                return
        session = self._sessions.get(message.session)
        if session is None:
            self._sessions.unknown(message)
            return
        match message:
            case Pause():
                session.on_pause(message)
            case TextChunk():
                session.on_text(message)
            case Resume():
                session.on_resume(message)
            case Stop():
                session.on_stop(message)

    def _on_worker_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        match message:
            case LoadModel(model=model):
                self._loading = asyncio.get_running_loop().create_task(self._load(model, respond))
                return
            case UnloadModel(model=model):
                self._unload(model, respond)
                return
            case Drain():
                self._sessions.draining = True
                self._wake.set()
            case GetCapabilities() | ListModels():
                pass
        self._answer(respond)

    async def _load(self, model: ModelId, respond: Respond | None) -> None:
        try:
            await self._models.ensure(model)
        except Refused as error:
            self._answer(respond, error)
        else:
            self._answer(respond)
        self._wake.set()

    def _unload(self, model: ModelId, respond: Respond | None) -> None:
        try:
            self._models.unload(model)
        except Refused as error:
            self._answer(respond, error)
        else:
            self._answer(respond)
        self._wake.set()

    def _answer(self, respond: Respond | None, error: Refused | None = None) -> None:
        if respond is not None:
            respond(
                WorkerDescribed(worker=self.describe())
                if error is None
                else WorkerRefused(code=error.code, reason=error.reason[:1000])
            )

    # --- from the models --------------------------------------------------------------------------------------------
    def on_made(self, key: Key, made: Made, compute_s: float) -> None:
        """The next chunk of a turn."""
        self._measures.made(compute_s, len(made.frames) * _FRAME_S)
        if session := self._sessions.get(key[0]):
            session.on_made(key[1], made)

    def _on_failed(self, key: Key, reason: str) -> None:
        if session := self._sessions.get(key[0]):
            session.on_failed(key[1], reason)

    def _on_died(self, model: ModelId, reason: str) -> None:
        for session in self._sessions:
            if session.voice is not None and session.voice.model == model:
                session.on_voice_died(reason)
        self._wake.set()
