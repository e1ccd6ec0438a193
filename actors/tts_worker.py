"""A TTS worker: commands from the bus, voices on threads, frames on a 20 ms grid. On the loop.

Commands are handled within the bus's call-back: a pause takes effect before it returns.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from actors import tts_metrics
from actors.announcing import Announcing
from actors.mailbox import Mailbox
from actors.models import CallLater, ModelManager
from actors.policies.resident import Limits
from actors.pulse import PULSE_MS, Pulsing
from actors.tts_admin import Administration
from actors.tts_measures import Measures
from actors.tts_messages import Key
from actors.tts_pacer import CallAt, Pacer
from actors.tts_rendition import Made
from actors.tts_sessions import SpeakingSessions
from actors.tts_turn import Surroundings
from actors.voice_threads import VoiceThreads
from actors.voices import Voice
from protocol.audio import SPEECH_FRAME, SPEECH_RATE
from protocol.errors import ModelUnavailable, Refused
from protocol.ids import Millis, ModelId, UnixMicros, WorkerName
from protocol.ports import Bus, Calibrate, MemoryMeter, ReferenceStore, Respond, Subscription, WorkerRegistry
from protocol.speaking import EndSpeaking, StartSpeaking
from protocol.subjects import ANY_SESSION, Subject, tts_command, worker
from protocol.workers import Announcement, Capabilities, WorkerState

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
        call_later: CallLater | None = None,
        limits: Limits | None = None,
        check_every_ms: int = 30_000,
        meter: MemoryMeter | None = None,
        reread: Callable[[], Sequence[Voice]] | None = None,
        references: ReferenceStore | None = None,
        addr: str = "",
        capacity: int = 32,
        lead_ms: Millis = Millis(200),
        ahead_s: float = 6.0,
        forget_after_s: float = 600.0,
        drop_paused_after_s: float = 120.0,
    ) -> None:
        """The first of `voices` is the default one; `preload` (or else the default) is warm before it is announced.

        `call_at` (default: the loop's) sets the pacer's timer, in the time of `clock`; `call_later` the model
        manager's, see there for `limits`, `check_every_ms`, `meter` and `reread`.
        """
        self._name = name
        self._bus = bus
        self._registry = registry
        self._voices = voices
        self._calibrate = calibrate
        self._preload = tuple(preload) or tuple(voice.model for voice in voices[:1])
        self._clock = clock
        self._call_at = call_at
        self._call_later = call_later
        self._limits = limits or Limits()
        self._check_every_ms = check_every_ms
        self._meter = meter
        self._reread = reread
        self._references = references
        self._lead_ms = lead_ms
        self._ahead_s = ahead_s
        self._forget_after_s = forget_after_s
        self._drop_paused_after_s = drop_paused_after_s
        self._capacity = capacity
        self._measures = Measures()
        self._announcing = Announcing(registry, self.describe, call_later=call_later)
        self._addr = addr or f"nats://{name}"
        self._state: WorkerState = "starting"
        self._started_at = _wall()
        self._subscriptions: list[Subscription] = []

    # --- its life ---------------------------------------------------------------------------------------------------
    async def run(self, stop: asyncio.Event) -> None:
        """Load and warm up what is preloaded, announce, serve until told to stop or drained.

        Raises:
            ModelUnavailable: when a model to preload cannot be loaded; the message says what to do.
        """
        self._assemble()
        try:
            await self._begin()
            with Pulsing(self._bus, self._name, self._started_at):
                await self._serve(stop)
        finally:
            try:
                await self._registry.withdraw(self._name)
            finally:
                await self.close()

    async def open(self) -> None:
        """Be warm, and listen for commands. See `run`."""
        self._assemble()
        await self._begin()

    async def _begin(self) -> None:
        await self._warm_up()
        self._state = "ready"
        self._subscriptions = [
            await self._bus.subscribe(tts_command(ANY_SESSION, self._name), self._on_command),
            await self._bus.subscribe(worker(self._name), self._admin.on_command),
        ]
        log.info("tts worker ready", worker=self._name, models=self._models.resident)

    async def close(self) -> None:
        """Be silent, and end the models' threads."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._admin.stop()
        self._pacer.stop()
        self._sessions.end_all()
        await self._models.stop()

    def _assemble(self) -> None:
        loop = asyncio.get_running_loop()
        threads = VoiceThreads(
            calibrate=self._calibrate,
            mailbox=Mailbox(loop),
            on_made=self._on_made,
            on_failed=self._on_failed,
            meter=self._meter,
            ahead_s=self._ahead_s,
        )
        self._models = ModelManager(
            self._voices,
            limits=self._limits,
            threads=threads,
            clock=self._clock,
            call_later=self._call_later or loop.call_later,
            on_died=self._on_died,
            on_changed=self._announcing.wake,
            reread=self._reread,
            check_every_ms=self._check_every_ms,
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
        self._sessions = SpeakingSessions(
            self._models,
            around,
            capacity=self._capacity,
            references=self._references,
            on_changed=self._announcing.wake,
        )
        self._admin = Administration(
            self._models, describe=self.describe, drain=self._sessions.drain, changed=self._announcing.wake
        )

    async def _warm_up(self) -> None:
        """The default voice must be there; another one that cannot be loaded is reported, and the worker serves."""
        loads = [self._models.load(model) for model in self._preload]
        outcomes = await asyncio.gather(*loads, return_exceptions=True)
        for model, outcome in zip(self._preload, outcomes, strict=True):
            if isinstance(outcome, Refused) and model != self._models.voices.models[0]:
                log.error("a voice is not preloaded", model=model, reason=outcome.reason)
            elif isinstance(outcome, Refused):
                raise ModelUnavailable(outcome.reason) from outcome
            elif outcome is not None:
                raise outcome

    async def _serve(self, stop: asyncio.Event) -> None:
        await self._announcing.serve(stop, is_over=self._is_drained)

    def _is_drained(self) -> bool:
        self._forget_silent()
        return self._sessions.is_drained

    def _forget_silent(self) -> None:
        self._sessions.forget_silent(self._clock(), after_s=self._forget_after_s, paused_s=self._drop_paused_after_s)

    def describe(self) -> Announcement:
        """The worker as it is now."""
        voices = self._models.voices
        waiting = sum(self._models.waiting().values())
        load = self._measures.load(queue_depth=self._sessions.unspoken_pieces, waiting=waiting)
        tts_metrics.QUEUE_DEPTH.set(load.queue_depth)
        tts_metrics.VOICES_WAITING.set(load.waiting)
        tts_metrics.SESSIONS.set(len(self._sessions))
        return Announcement(
            name=self._name,
            addr=self._addr,
            capabilities=Capabilities(
                languages=voices.languages, sample_rates=(SPEECH_RATE,), zero_shot=voices.can_clone
            ),
            models=voices.models,
            resident_models=self._models.resident,
            model_languages=voices.model_languages,
            metrics=load,
            state="draining" if self._sessions.draining else self._state,
            sessions=len(self._sessions),
            capacity=self._capacity,
            started_at=self._started_at,
            pulse_ms=PULSE_MS,
        )

    # --- commands ---------------------------------------------------------------------------------------------------
    def _on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        match message:
            case StartSpeaking():
                self._sessions.open(message, respond)
            case EndSpeaking(session=name):
                self._sessions.end(name)
            case _:
                session = self._sessions.get(message.session)
                if session is None:
                    self._sessions.unknown(message)
                else:
                    session.on_command(message)

    # --- from the models --------------------------------------------------------------------------------------------
    def _on_made(self, key: Key, made: Made, compute_s: float) -> None:
        self._measures.made(compute_s, len(made.frames) * _FRAME_S)
        if session := self._sessions.get(key[0]):
            session.on_made(key[1], made)

    def _on_failed(self, key: Key, reason: str) -> None:
        if session := self._sessions.get(key[0]):
            session.on_failed(key[1], reason)

    def _on_died(self, model: ModelId, reason: str) -> None:
        for session in self._sessions:
            session.on_voice_died(model, reason)
        self._announcing.wake()
