"""The user has the floor: until they have finished, with words or without."""

from actors.policies import endpointing
from actors.policies.backchannel import Said, judge
from actors.policies.turn_taking.commands import (
    AdoptReply,
    AskReply,
    CommitUser,
    PrepareReply,
    SpeakText,
    TellError,
    TellTranscript,
)
from actors.policies.turn_taking.floor import Floor
from actors.policies.turn_taking.own_turn import Origin, OwnTurn, Prepared
from actors.policies.turn_taking.utterance import Utterance
from protocol.hearing import FinalTranscript, PartialTranscript, SpeechStarted, SpeechStopped
from protocol.ids import Millis, TurnId


class Listening:
    """What happens in LISTENING, and how it is come back to."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def enter(self, now: Millis) -> None:
        """The floor is the user's, or free."""
        floor = self._floor
        floor.move_to("LISTENING", now)
        if floor.user is not None and not floor.user.speaking:
            self._hear_out(floor.user, now)
        self.say_what_waits(now)

    def started(self, event: SpeechStarted, now: Millis) -> None:
        """The user speaks, perhaps again."""
        self._floor.hear_user(event.at, now)
        self._floor.drop_prepared()

    def stopped(self, event: SpeechStopped, now: Millis) -> None:
        """The user may have finished: find out what was said while waiting whether they have."""
        user = self._floor.user
        if user is not None and user.speaking:
            user.pause(event.at, now)
            self._floor.ask_for_whole(now)

    def transcribed(self, event: PartialTranscript | FinalTranscript, now: Millis) -> None:
        """The words are there: be ready to answer them."""
        floor, user = self._floor, self._floor.user
        if not floor.requests.settle(event.request) or user is None:
            return
        said = judge(
            event.text,
            language=floor.settings.language,
            voiced_ms=user.voiced_ms(event.first, event.end),
            avg_logprob=event.avg_logprob,
            no_speech_prob=event.no_speech_prob,
            over_reply=False,
        )
        user.record(event.end, event.text.strip(), said)
        if user.speaking:
            self._bound(user, event, now)
            return
        self._hear_out(user, now)

    def not_transcribed(self, code: str, message: str, now: Millis) -> None:
        """No answer, or a refusal: once more, then without."""
        floor, user = self._floor, self._floor.user
        given_up = floor.requests.pending
        again = floor.requests.ask_again(now)
        if again is not None:
            floor.do(again)
            return
        floor.do(TellError(code, message, TurnId(0)))
        if user is not None and given_up is not None and user.speaking and self._is_too_long(user, now):
            user.keep_and_go_on_from(given_up.end, now)
        self.on_time(now)

    def on_time(self, now: Millis) -> None:
        """End the turn when it is over; settle what a speech without pauses holds so far."""
        user = self._floor.user
        due = self.deadline()
        if user is None or due is None or now < due or self._floor.requests.pending is not None:
            return
        if not user.speaking:
            self._end_turn(user, now)
        elif not user.keep_what_is_covered(user.spoke_at):
            self._floor.ask_so_far(now, final=True)

    def deadline(self) -> Millis | None:
        """When the turn is over, unless something happens; None while a transcript is waited for."""
        floor, user = self._floor, self._floor.user
        if user is None or floor.requests.pending is not None:
            return None
        if user.speaking:
            return Millis(user.range_since + floor.settings.whole_utterance_ms)
        over = user.silent_at + self._silence_needed(user)
        if floor.likely_at is not None:
            over = max(over, floor.likely_at + floor.settings.tentative_hold_limit_ms)
        return Millis(over)

    def say_what_waits(self, now: Millis) -> None:
        """Nobody speaks: say the next text that waits."""
        floor = self._floor
        if floor.user is not None or floor.reply is not None or not floor.sayings.waiting:
            return
        saying = floor.sayings.waiting.popleft()
        self.speak(" ".join(saying.pieces), "say", now, more=saying.open)

    def speak(self, text: str, origin: Origin, now: Millis, *, more: bool = False) -> None:
        """Say this text as a turn."""
        floor = self._floor
        turn = floor.next_turn()
        floor.reply = OwnTurn(turn=turn, origin=origin, moved_at=now, open=more, handed=True)
        floor.do(SpeakText(turn, text, last=not more))
        floor.move_to("THINKING", now)

    def _bound(self, user: Utterance, event: PartialTranscript | FinalTranscript, now: Millis) -> None:
        if self._is_too_long(user, now):
            user.keep_and_go_on_from(event.end, now)
            self._tell(user)

    def _is_too_long(self, user: Utterance, now: Millis) -> bool:
        return now >= user.range_since + self._floor.settings.whole_utterance_ms

    def _hear_out(self, user: Utterance, now: Millis) -> None:
        """The user is silent: see that the whole is transcribed, then prepare an answer, and give it in time."""
        floor = self._floor
        if floor.requests.pending is not None:
            return
        if not user.is_covered():
            floor.ask_for_whole(now)
            return
        if user.has_words:
            self._tell(user)
            self._prepare(user, now)
        self.on_time(now)

    def _prepare(self, user: Utterance, now: Millis) -> None:
        floor = self._floor
        if floor.prepared is not None and floor.prepared.text == user.text:
            return
        floor.drop_prepared()
        due = self.deadline()
        in_time = due is not None and now < due
        if not floor.settings.prepare or not in_time or self._is_open_ended(user):
            return
        turn = floor.next_turn()
        floor.prepared = Prepared(OwnTurn(turn=turn, origin="reply", moved_at=now), user.text)
        floor.do(PrepareReply(turn, user.text))

    def _end_turn(self, user: Utterance, now: Millis) -> None:
        floor = self._floor
        if not user.has_words:
            floor.drop_prepared()
            floor.forget_user()
            self.say_what_waits(now)
            return
        user.committed = True
        floor.do(CommitUser(user.number, user.text))
        prepared, floor.prepared = floor.prepared, None
        if prepared is None:
            floor.reply = OwnTurn(turn=floor.next_turn(), origin="reply", moved_at=now)
            floor.do(AskReply(floor.reply.turn))
        else:
            floor.reply = prepared.reply
            floor.reply.moved_at = now
            floor.do(AdoptReply(floor.reply.turn))
        floor.move_to("THINKING", now)

    def _tell(self, user: Utterance) -> None:
        if user.text != user.told:
            user.told = user.text
            self._floor.do(TellTranscript(user.number, user.text, final=False))

    def _silence_needed(self, user: Utterance) -> Millis:
        settings = self._floor.settings
        if not user.has_words and user.said is not Said.BACKCHANNEL:
            return settings.end_of_turn_ms
        return endpointing.silence_needed(
            user.text or "um",
            base=settings.end_of_turn_ms,
            language=settings.language,
            completeness=user.completeness,
        )

    def _is_open_ended(self, user: Utterance) -> bool:
        judged = user.completeness
        if judged is not None:
            return judged < endpointing.UNDECIDED
        return endpointing.is_open_ended(user.text, language=self._floor.settings.language)
