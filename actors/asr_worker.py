"""An ASR worker: listens to sessions, answers what they ask on their subjects, says what it is.

Everything here is on the loop; the model computes on the thread of its `AsrActor`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import time_ns
from typing import Any, Final

import pykka
import structlog

from actors.announcing import Announcing
from actors.asr import AsrActor, Ready, Transcribing
from actors.dispatcher import Dispatcher
from actors.listeners import Listeners
from actors.mailbox import Mailbox
from actors.pulse import PULSE_MS, Pulsing
from protocol import subjects
from protocol.audio import MIC_RATE
from protocol.conversation import Accepted, CommandRefused
from protocol.errors import ModelUnavailable
from protocol.hearing import AsrEvent, EndListening, StartListening, Transcribe
from protocol.ids import SessionId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus, Respond, SpeechRecognizer, Subscription, WorkerRegistry
from protocol.subjects import Subject
from protocol.workers import (
    Announcement,
    Capabilities,
    Drain,
    GetCapabilities,
    ListModels,
    WorkerDescribed,
    WorkerRefused,
)

_DRAIN_S: Final = 10.0
_STOP_S: Final = 2.0

log = structlog.get_logger()


class AsrWorker:
    """One process's share of the hearing: `run` serves until told to stop, or until drained."""

    def __init__(
        self,
        *,
        name: WorkerName,
        bus: Bus,
        registry: WorkerRegistry,
        load: Callable[[], SpeechRecognizer],
        clock: Callable[[], float],
        languages: tuple[str, ...] = ("en",),
        addr: str = "",
        capacity: int = 32,
        forget_after_s: float = 180.0,
    ) -> None:
        """`load` is called on the model's thread and raises ModelUnavailable; `capacity` counts sessions."""
        self._name = name
        self._bus = bus
        self._registry = registry
        self._load = load
        self._clock = clock
        self._forget_after_s = forget_after_s
        self._listeners = Listeners(bus, clock=clock)
        self._dispatcher = Dispatcher(self._listeners, transcribe=self._transcribe, publish=self._publish, clock=clock)
        self._listeners.on_sound = self._dispatcher.on_sound
        self._actor: pykka.ActorRef[AsrActor] | None = None
        self._announcing = Announcing(registry, self._describe)
        self._drained_at: float | None = None
        self._announcement = Announcement(
            name=name,
            kind="asr",
            addr=addr or f"nats://{name}",
            capabilities=Capabilities(languages=languages, sample_rates=(MIC_RATE,)),
            state="starting",
            capacity=capacity,
            started_at=UnixMicros(time_ns() // 1000),
            pulse_ms=PULSE_MS,
        )

    # --- its life ---------------------------------------------------------------------------------------------------
    async def run(self, stop: asyncio.Event) -> None:
        """Load the model, warm it up, announce, serve.

        Raises:
            ModelUnavailable: when the model can't be loaded; the message says what to do.
        """
        opened: list[Subscription] = []
        try:
            self._now_ready(await self._start_actor())
            commands = subjects.asr_command(subjects.ANY_SESSION, self._name)
            opened.append(await self._bus.subscribe(commands, self._on_command))
            opened.append(await self._bus.subscribe(subjects.worker(self._name), self._on_worker_command))
            with Pulsing(self._bus, self._name, self._announcement.started_at):
                await self._serve(stop)
        finally:
            for subscription in opened:
                subscription.cancel()
            for session in self._listeners.sessions():
                self._forget(session)
            await self._registry.withdraw(self._name)
            await self._stop_actor()

    async def _start_actor(self) -> Ready:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Ready | ModelUnavailable] = loop.create_future()

        def on_ready(outcome: Ready | ModelUnavailable) -> None:
            if not ready.done():  # else run() was cancelled while the model was loading
                ready.set_result(outcome)

        language = self._announcement.capabilities.languages[0]
        self._actor = AsrActor.start(
            self._load,
            Mailbox(loop),
            on_ready=on_ready,
            on_transcribed=self._dispatcher.on_transcribed,
            language=language,
        )
        outcome = await ready
        if isinstance(outcome, ModelUnavailable):
            raise outcome
        return outcome

    def _now_ready(self, outcome: Ready) -> None:
        self._dispatcher.warmed_up(outcome)
        models = (outcome.model,)
        self._announcement = replace(self._announcement, models=models, resident_models=models, state="ready")
        log.info("asr worker ready", worker=self._name, model=outcome.model, load_ms=round(outcome.load_ms))

    async def _serve(self, stop: asyncio.Event) -> None:
        await self._announcing.serve(stop, is_over=self._is_over)

    def _is_over(self) -> bool:
        self._forget_the_silent()
        return self._is_drained()

    async def _stop_actor(self) -> None:
        self._dispatcher.stop()
        if self._actor is None:
            return
        try:
            await asyncio.to_thread(self._actor.stop, timeout=_STOP_S)
        except pykka.Timeout:
            log.warning("a transcription is still under way; its thread ends with the process", worker=self._name)

    def _transcribe(self, order: Transcribing) -> None:
        if self._actor is not None:
            self._actor.tell(order)

    def _describe(self) -> Announcement:
        return replace(self._announcement, metrics=self._dispatcher.measured(), sessions=len(self._listeners))

    def _is_drained(self) -> bool:
        if self._drained_at is None:
            return False
        return self._clock() >= self._drained_at or not (self._listeners or self._dispatcher.depth)

    # --- what sessions ask ------------------------------------------------------------------------------------------
    def _on_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        answer = respond or _nobody_asked
        match message:
            case StartListening(session=session):
                self._start(session, answer)
            case Transcribe():
                self._dispatcher.ask(message)
            case EndListening(session=session):
                self._forget(session)
                answer(Accepted(session=session))

    def _start(self, session: SessionId, answer: Respond) -> None:
        refused = None if session in self._listeners else self._refusal(session)
        if refused is None:
            self._listeners.start(session, answer)
            self._announcing.wake()
        else:
            log.warning("refused to listen", session=session, code=refused.code)
            answer(refused)

    def _refusal(self, session: SessionId) -> CommandRefused | None:
        if self._drained_at is not None:
            return CommandRefused(session=session, code="draining", reason="this worker is about to end: ask another")
        if len(self._listeners) >= self._announcement.capacity:
            reason = f"this worker listens to {len(self._listeners)} sessions and takes no more: start another worker"
            return CommandRefused(session=session, code="too-many-sessions", reason=reason)
        return None

    def _forget(self, session: SessionId) -> None:
        self._listeners.forget(session)
        self._dispatcher.forget(session)
        self._announcing.wake()

    def _forget_the_silent(self) -> None:
        for session in self._listeners.silent_for(self._forget_after_s):
            log.info("a silent session is forgotten", session=session)
            self._forget(session)

    def _publish(self, session: SessionId, event: AsrEvent) -> None:
        self._bus.publish(subjects.asr_event(session, self._name), event)

    # --- what operators ask -----------------------------------------------------------------------------------------
    def _on_worker_command(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        answer = respond or _nobody_asked
        match message:
            case Drain():
                self._drain()
                answer(WorkerDescribed(worker=self._describe()))
            case GetCapabilities() | ListModels():
                answer(WorkerDescribed(worker=self._describe()))
            case _:
                reason = "an ASR worker serves the one model that it was started with"
                answer(WorkerRefused(code="not-supported", reason=reason))

    def _drain(self) -> None:
        if self._drained_at is None:
            self._drained_at = self._clock() + _DRAIN_S
            self._announcement = replace(self._announcement, state="draining")
            self._announcing.wake()


def _nobody_asked(_reply: Message) -> None:
    """A command that came without a way to reply."""
