"""A session: the shell around turn-taking. It does what the policy decides, at once and in order. On the loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import structlog

from actors.history import History
from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking import TurnTaking, TurnTakingSettings
from actors.policies.turn_taking.events import (
    Event,
    FirstFrameLeft,
    LastFrameLeft,
    PlayoutMoved,
    RecognizerLost,
    RecognizerReturned,
    SessionEnding,
    VoiceLost,
    VoiceReturned,
)
from actors.sessions.chores import Chores
from actors.sessions.conductor import Conductor
from actors.sessions.doings import doings
from actors.sessions.ears import Ears
from actors.sessions.latencies import Latencies
from actors.sessions.mouth import Mouth, ReplyTimes
from actors.sessions.ports import CallLater, Clock, Router, Sound
from actors.sessions.standing import Note, Standings, ignore
from actors.sessions.voice import Voice
from actors.sessions.wishes import changed, taking_turns, wanted
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CommandRefused,
    Configure,
    Interrupt,
    Say,
    SessionClosed,
    SessionConfig,
    SessionError,
)
from protocol.errors import Refused
from protocol.hearing import AsrEvent, FinalTranscript, SpeechStarted, SpeechStopped, VadEvent
from protocol.ids import SessionId, TurnId, WorkerName
from protocol.message import Message
from protocol.ports import Bus, ReplyGenerator, Respond, Subscription
from protocol.subjects import Subject, asr_event, parse, tts_event
from protocol.workers import Announcement

MAX_REASON: Final = 1_000

log = structlog.get_logger()


class Session:
    """One conversation's turn-taking (docs/turn-taking.md).

    Args:
        config: every field has a value.
        sound: what the recognizer hears of the microphone.
        gate: at the client's edge; closed and opened by direct calls, before anybody is told.
        emit: takes events and gate commands for the client and for observers.
        settings: what a client can't choose; `config` is put on top.
        silence_s: the detector's `stop_ms`, for the measurements.
        note: told where the session stands, at each change.
    """

    def __init__(
        self,
        *,
        session: SessionId,
        config: SessionConfig,
        bus: Bus,
        gate: PlayoutGate,
        sound: Sound,
        router: Router,
        replies: ReplyGenerator,
        clock: Clock,
        emit: Callable[[Message], None],
        call_later: CallLater,
        settings: TurnTakingSettings | None = None,
        reply_times: ReplyTimes | None = None,
        silence_s: float = 0.2,
        note: Note = ignore,
    ) -> None:
        self._session = session
        self._config = config
        self._bus = bus
        self._gate = gate
        self._router = router
        self._clock = clock
        self._emit = emit
        self._turns = TurnTaking(taking_turns(settings or TurnTakingSettings(), config))
        self._chores = Chores(call_later)
        self._history = History(system=config.system_prompt or "")
        self._latencies = Latencies(silence_s=silence_s)
        self._ears = Ears(
            session=session,
            language=config.language or "en",
            bus=bus,
            router=router,
            sound=sound,
            chores=self._chores,
            clock=clock,
            on_lost=lambda: self._feed(RecognizerLost()),
            on_returned=lambda: self._feed(RecognizerReturned()),
        )
        self._voice = Voice(
            session=session,
            wanted=wanted(config),
            bus=bus,
            router=router,
            chores=self._chores,
            is_between_turns=self._is_between_turns,
            is_needed=self._voice_is_needed,
            on_lost=lambda: self._feed(VoiceLost()),
            on_returned=lambda: self._feed(VoiceReturned()),
            on_refused=self._tell_error,
        )
        self._untold: deque[Message] = deque()
        self._mouth = Mouth(
            session=session,
            language=config.language or "en",
            gate=gate,
            voice=self._voice,
            replies=replies,
            history=self._history,
            latencies=self._latencies,
            clock=clock,
            times=reply_times or ReplyTimes(),
            tell=self._untold.append,
            feed=self._feed,
        )
        does = doings(
            session=session,
            gate=gate,
            voice=self._voice,
            ears=self._ears,
            mouth=self._mouth,
            history=self._history,
            tell=self._untold.append,
            tell_error=self._tell_error,
            note_hold=self._note_hold,
        )
        self._conductor = Conductor(
            self._turns,
            clock=clock,
            chores=self._chores,
            do=lambda command: does[type(command)](command),
            then=self._tell_all,
            rest=self._at_rest,
        )
        self._standings = Standings(
            session, note, turns=self._turns, voice=self._voice, ears=self._ears, history=self._history
        )
        self._chores.then = self._standings.look
        self._noticed_at = 0.0
        self._subscriptions: list[Subscription] = []
        self._unwatch: Callable[[], None] | None = None

    # --- its life ---------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Find workers.

        Raises:
            Refused: when there are none, or they can't serve this configuration; the session is then to be closed.
            BusUnavailable: the same, for want of a connection.
        """
        self._subscriptions.append(await self._bus.subscribe(tts_event(self._session), self._on_voice))
        self._subscriptions.append(await self._bus.subscribe(asr_event(self._session), self._on_ears))
        self._unwatch = self._router.watch(self._on_worker)
        starting = [asyncio.ensure_future(start) for start in (self._voice.start(), self._ears.start())]
        try:
            await asyncio.gather(*starting)
        finally:  # who was refused one of them must not get a place at the other later
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
        self._standings.begin()

    async def close(self, reason: str) -> None:
        """End the reply and release the workers. Harmless when repeated."""
        if self._turns.closed:
            return
        self._standings.end()
        self._feed(SessionEnding())
        self._voice.end()
        self._ears.end()
        if self._unwatch is not None:
            self._unwatch()
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()
        await self._chores.close()
        self._emit(SessionClosed(session=self._session, reason=reason[:MAX_REASON]))

    # --- what happens -----------------------------------------------------------------------------------------------
    def on_vad(self, event: VadEvent) -> None:
        """Somebody speaks, or no longer does. The reply is silent when this returns."""
        self._noticed_at = self._clock()
        self._feed(event)
        match event:
            case SpeechStarted():
                self._latencies.speech_started()
            case SpeechStopped():
                self._latencies.speech_stopped(self._noticed_at)
            case _:
                pass

    def on_first_frame(self, turn: TurnId) -> None:
        """A reply begins to sound."""
        self._feed(FirstFrameLeft(turn))
        self._mouth.first_frame(turn)
        self._tell_all()

    def on_last_frame(self, turn: TurnId) -> None:
        """A reply was handed to the client to its end."""
        self._feed(LastFrameLeft(turn))

    def on_playout(self) -> None:
        """It goes on."""
        self._feed(PlayoutMoved(self._gate.turn, self._gate.played))

    def on_stalled(self, turn: TurnId) -> None:
        """The voice's sound has stopped coming in mid-turn."""
        if turn == self._turns.turn:
            self._voice.check()

    @property
    def speaker(self) -> WorkerName | None:
        """Whose frames are welcome; None: anybody's."""
        return self._voice.worker

    def command(self, message: Message) -> Message:
        """Do what the client asks: `Accepted` or `CommandRefused`."""
        try:
            self._obey(message)
        except Refused as refused:
            return CommandRefused(code=refused.code, reason=refused.reason[:MAX_REASON], session=self._session)
        return Accepted(session=self._session)

    def _obey(self, message: Message) -> None:
        if self._turns.closed:
            raise Refused("closed", "This session has ended; open a new one.")
        match message:
            case Say():
                self._say(message)
            case Interrupt():
                self._feed(message)
            case Configure(config=config):
                self._configure(config)
            case ClientPlayout():
                self._mouth.client_played(message)
            case _:
                raise Refused("unexpected", "A session does not take this command.")

    def _say(self, say: Say) -> None:
        refusal = self._turns.why_not_say(say, self._conductor.now())
        if refusal is not None:
            raise Refused(*refusal)
        if not self._mouth.has_room(self._turns.turn, say.text):
            raise Refused("too-many-texts", "The voice is far behind; send this text again when more was spoken.")
        self._feed(say)

    def _configure(self, changes: SessionConfig) -> None:
        config = changed(self._config, changes)
        language = config.language or "en"
        new_language = config.language != self._config.language
        if new_language:
            self._ears.check_language(language)
        if wanted(config) != wanted(self._config):
            self._voice.want(wanted(config))
        if new_language:
            self._ears.speak_language(language)
            self._mouth.language = language
        self._history.system = config.system_prompt or ""
        self._turns.configure(taking_turns(self._turns.settings, config))
        self._config = config
        self._conductor.settle()

    def _on_voice(self, subject: Subject, message: Any, _respond: Respond | None) -> None:
        if parse(subject).worker == self._voice.worker:
            self._mouth.on_voice_event(message)
            self._tell_all()

    def _on_ears(self, subject: Subject, message: AsrEvent, _respond: Respond | None) -> None:
        if not self._ears.answered(parse(subject).worker, message):
            return
        if isinstance(message, FinalTranscript):
            self._latencies.transcribed(message.compute_ms, self._clock())
        self._feed(message)

    def _on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        self._voice.on_worker(name, announcement)
        self._ears.on_worker(name, announcement)
        self._conductor.settle()

    # --- deciding and telling ---------------------------------------------------------------------------------------
    def _feed(self, event: Event) -> None:
        self._conductor.feed(event)

    def _is_between_turns(self) -> bool:
        return not (self._turns.turn or self._turns.prepared or self._turns.closed)

    def _voice_is_needed(self) -> bool:
        """Whether the gate does not hold all of what is being spoken or prepared."""
        turn = self._turns.turn or self._turns.prepared
        return bool(turn) and not (self._gate.turn == turn and self._gate.complete)

    def _at_rest(self) -> None:
        if self._is_between_turns():
            self._voice.between_turns()
        self._standings.look()

    def _tell_all(self) -> None:
        """What others are told never stands in the way of what is to be done."""
        while self._untold:
            self._emit(self._untold.popleft())

    def _tell_error(self, code: str, message: str, turn: TurnId = TurnId(0)) -> None:
        log.warning("session error", session=self._session, code=code, turn=turn)
        self._emit(SessionError(session=self._session, code=code, message=message[:MAX_REASON], turn=turn))

    def _note_hold(self, turn: TurnId) -> None:
        self._latencies.held(turn, self._clock() - self._noticed_at)
