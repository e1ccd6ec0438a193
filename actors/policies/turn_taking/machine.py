"""Who has the floor: events and a time go in, commands and the next deadline come out. Pure."""

from actors.policies.turn_taking.commands import Command, HoldGate, ReleaseAll, ReleaseGate
from actors.policies.turn_taking.events import (
    CompletenessJudged,
    Event,
    FirstFrameLeft,
    LastFrameLeft,
    ListenerAway,
    PlayoutMoved,
    RecognizerLost,
    RecognizerReturned,
    ReplyFailed,
    SessionEnding,
    TextHandedOver,
    VoiceFailed,
    VoiceLost,
    VoiceReturned,
)
from actors.policies.turn_taking.floor import Floor
from actors.policies.turn_taking.interrupted import Interrupted
from actors.policies.turn_taking.listening import Listening
from actors.policies.turn_taking.replying import Replying
from actors.policies.turn_taking.settings import TurnTakingSettings
from protocol.conversation import Interrupt, Say, State
from protocol.hearing import (
    FinalTranscript,
    PartialTranscript,
    SpeechLikely,
    SpeechStarted,
    SpeechStopped,
    SpeechUnlikely,
    TranscriptionFailed,
)
from protocol.ids import Millis, TurnId

MISSING = "transcript-missing"
LOST = "recognizer-lost"
_MAX_STEPS = 8
"""Deadlines that may fall due at one time; each of them moves its own into the future or ends its state."""


class TurnTaking:
    """One session's state machine (docs/turn-taking.md). `now` never goes backwards."""

    def __init__(self, settings: TurnTakingSettings | None = None) -> None:
        self._floor = Floor(settings or TurnTakingSettings())
        self._listening = Listening(self._floor)
        self._interrupted = Interrupted(self._floor, self._listening)
        self._replying = Replying(self._floor, self._listening)

    @property
    def state(self) -> State:
        """Who has the floor."""
        return self._floor.state

    @property
    def turn(self) -> TurnId:
        """The reply that is thought about, sounds or is held; 0 when there is none."""
        return self._floor.reply.turn if self._floor.reply is not None else TurnId(0)

    @property
    def prepared(self) -> TurnId:
        """The prepared reply; 0 when there is none."""
        return self._floor.prepared.reply.turn if self._floor.prepared is not None else TurnId(0)

    @property
    def closed(self) -> bool:
        """Whether the session is over: nothing happens any more."""
        return self._floor.closed

    @property
    def settings(self) -> TurnTakingSettings:
        """As they are now."""
        return self._floor.settings

    @property
    def is_idle(self) -> bool:
        """Between turns: nobody has said anything that waits for an answer."""
        return self._floor.reply is None and self._floor.prepared is None and self._floor.user is None

    def configure(self, settings: TurnTakingSettings) -> None:
        """Take turns like this from now on."""
        self._floor.settings = settings

    def why_not_say(self, say: Say, now: Millis) -> tuple[str, str] | None:
        """A code and a reason if this text is not going to be spoken."""
        sayings = self._floor.sayings
        if sayings.cut_at is not None and now - sayings.cut_at > self._floor.settings.say_idle_ms:
            sayings.cut_at = None
        if sayings.cut_at is not None:
            sayings.cut_at = None if say.last else now
            return "interrupted", "The beginning of this text was interrupted, so the rest of it is not spoken."
        if not say.text.strip() and not self._is_being_said:
            return "empty-text", "There is nothing to speak in this text."
        if not sayings.has_room(say):
            return "too-many-texts", "Too many texts wait to be spoken; send this one again when some have been."
        return None

    @property
    def _is_being_said(self) -> bool:
        """Whether more of a text is awaited."""
        reply, waiting = self._floor.reply, self._floor.sayings.waiting
        return (reply is not None and reply.origin == "say" and reply.open) or (bool(waiting) and waiting[-1].open)

    def deadline(self) -> Millis | None:
        """When `on_time` is to be called at the latest; None only in LISTENING, or closed."""
        floor = self._floor
        if floor.closed:
            return None
        due = [floor.requests.deadline(), self._tentative_deadline()]
        match floor.state:
            case "LISTENING":
                due.append(self._listening.deadline())
            case "BARGED_IN":
                due.append(self._interrupted.deadline())
            case "THINKING" | "SPEAKING":
                due.append(self._replying.deadline())
        return min((at for at in due if at is not None), default=None)

    def on_time(self, now: Millis) -> list[Command]:
        """Do what is due. Harmless when called too early."""
        self._expire(now)
        return self._taken()

    def on(self, event: Event, now: Millis) -> list[Command]:
        """What follows from an event, what had become due before it included."""
        if self._floor.closed:
            return []
        self._expire(now)
        match event:
            case SpeechLikely() | SpeechUnlikely() | SpeechStarted() | SpeechStopped():
                self._on_voice(event, now)
            case PartialTranscript() | FinalTranscript() | TranscriptionFailed() | CompletenessJudged():
                self._on_understanding(event, now)
            case Say():
                self._replying.say(event, now)
                self._listening.say_what_waits(now)
            case Interrupt():
                self._replying.interrupt(now)
            case RecognizerLost():
                self._floor.requests.lose_recognizer(now)
            case RecognizerReturned():
                self._floor.requests.regain_recognizer(now)
            case SessionEnding():
                self._end(now)
            case _:
                self._on_reply(event, now)
        self._expire(now)
        return self._taken()

    def _on_understanding(
        self, event: PartialTranscript | FinalTranscript | TranscriptionFailed | CompletenessJudged, now: Millis
    ) -> None:
        floor = self._floor
        match event:
            case PartialTranscript() | FinalTranscript():
                self._side().transcribed(event, now)
            case TranscriptionFailed(request=request, reason=reason):
                if floor.requests.pending is not None and floor.requests.pending.request == request:
                    self._side().not_transcribed(MISSING, reason, now)
            case CompletenessJudged(completeness):
                if floor.user is not None and not floor.user.speaking:
                    floor.user.completeness = completeness

    def _on_reply(
        self,
        event: TextHandedOver
        | FirstFrameLeft
        | PlayoutMoved
        | ListenerAway
        | LastFrameLeft
        | ReplyFailed
        | VoiceFailed
        | VoiceLost
        | VoiceReturned,
        now: Millis,
    ) -> None:
        match event:
            case TextHandedOver():
                self._replying.handed_over(event, now)
            case FirstFrameLeft():
                self._replying.first_frame(event, now)
            case PlayoutMoved():
                self._replying.played(event, now)
            case ListenerAway():
                self._replying.listener_away(event, now)
            case LastFrameLeft():
                self._replying.last_frame(event, now)
            case ReplyFailed():
                self._replying.failed(event, now)
            case VoiceFailed():
                self._replying.voice_failed(event, now)
            case VoiceLost():
                self._replying.voice_lost(now)
            case VoiceReturned():
                self._replying.voice_returned(now)

    def _on_voice(self, event: SpeechLikely | SpeechUnlikely | SpeechStarted | SpeechStopped, now: Millis) -> None:
        match event:
            case SpeechLikely():
                self._suspect(now)
            case SpeechUnlikely():
                self._relax()
            case SpeechStarted():
                self._started(event, now)
            case SpeechStopped():
                self._relax()
                if self._floor.state == "BARGED_IN":
                    self._interrupted.stopped(event, now)
                else:
                    self._listening.stopped(event, now)

    def _started(self, event: SpeechStarted, now: Millis) -> None:
        floor = self._floor
        floor.likely_at = None
        match floor.state:
            case "LISTENING":
                self._listening.started(event, now)
            case "BARGED_IN":
                self._interrupted.started(event, now)
            case "THINKING" if floor.reply is not None and floor.reply.origin == "reply":
                self._replying.taken_back(now)
                self._listening.started(event, now)
                self._listening.enter(now)
            case _:  # a text that was asked for is not taken back by a cough: it waits, as when it sounded already
                self._interrupted.enter(event, now)

    def _suspect(self, now: Millis) -> None:
        """The first window over the threshold: fall silent, which costs nothing if the next one disagrees."""
        floor = self._floor
        floor.likely_at = now
        if floor.settings.tentative_hold and floor.reply is not None and floor.state != "BARGED_IN":
            floor.do(HoldGate(floor.reply.turn))

    def _relax(self) -> None:
        floor = self._floor
        if floor.likely_at is None:
            return
        floor.likely_at = None
        if floor.reply is not None and floor.state != "BARGED_IN":
            floor.do(ReleaseGate(floor.reply.turn))

    def _tentative_deadline(self) -> Millis | None:
        likely = self._floor.likely_at
        return None if likely is None else Millis(likely + self._floor.settings.tentative_hold_limit_ms)

    def _side(self) -> Listening | Interrupted:
        """Who a transcript is for: over a reply it may interrupt, also a late one."""
        return self._listening if self._floor.state == "LISTENING" else self._interrupted

    def _expire(self, now: Millis) -> None:
        for _ in range(_MAX_STEPS):
            due = self.deadline()
            if due is None or now < due:
                return
            self._expire_one(now)

    def _expire_one(self, now: Millis) -> None:
        floor = self._floor
        if (tentative := self._tentative_deadline()) is not None and now >= tentative:
            self._relax()
        elif (patience := floor.requests.deadline()) is not None and now >= patience:
            self._lose_patience(now)
        elif floor.state == "LISTENING":
            self._listening.on_time(now)
        elif floor.state == "BARGED_IN":
            self._interrupted.on_time(now)
        else:
            self._replying.on_time(now)

    def _lose_patience(self, now: Millis) -> None:
        if self._floor.requests.deaf:
            self._side().not_transcribed(LOST, "Nobody can transcribe what was said: the recognizer is gone.", now)
        else:
            self._side().not_transcribed(MISSING, "No transcript came in time.", now)

    def _end(self, now: Millis) -> None:
        floor = self._floor
        floor.drop_prepared()
        floor.settle_user()
        floor.end_reply(now)
        floor.sayings.waiting.clear()
        floor.requests.forget()
        floor.do(ReleaseAll())
        floor.closed = True

    def _taken(self) -> list[Command]:
        commands, self._floor.commands = self._floor.commands, []
        return commands
