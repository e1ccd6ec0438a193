"""The user makes a sound over our reply: hold it, find out whether they mean something, then stop or go on."""

from actors.policies.backchannel import Said, judge
from actors.policies.turn_taking.commands import (
    HoldGate,
    PauseVoice,
    ReleaseGate,
    ResumeVoice,
    TellError,
    TellTranscript,
)
from actors.policies.turn_taking.floor import Floor
from actors.policies.turn_taking.listening import Listening
from actors.policies.turn_taking.utterance import Utterance
from protocol.hearing import FinalTranscript, PartialTranscript, SpeechStarted, SpeechStopped
from protocol.ids import Millis, TurnId


class Interrupted:
    """What happens in BARGED_IN, and how it is come to."""

    def __init__(self, floor: Floor, listening: Listening) -> None:
        self._floor = floor
        self._listening = listening

    def enter(self, event: SpeechStarted, now: Millis) -> None:
        """Somebody speaks over the reply: silence first, questions later."""
        floor = self._floor
        if floor.reply is None:
            return
        if floor.settings.barge_in == "any_speech":
            floor.do(HoldGate(floor.reply.turn))
            floor.hear_user(event.at, now)
            self._stop(now)
            return
        floor.do(HoldGate(floor.reply.turn), PauseVoice(floor.reply.turn))
        floor.hear_user(event.at, now)
        floor.move_to("BARGED_IN", now)

    def started(self, event: SpeechStarted, now: Millis) -> None:
        """Another sound before the first was understood."""
        self._floor.hear_user(event.at, now)

    def stopped(self, event: SpeechStopped, now: Millis) -> None:
        """Silent again: what is known of the sound decides, or a transcript of all of it will."""
        floor, user = self._floor, self._floor.user
        if user is None or not user.speaking:
            return
        user.pause(event.at, now)
        pending = floor.requests.pending
        slack = floor.settings.end_slack_ms
        awaited = pending is not None and user.reaches(pending.end, slack)
        if self._listens_to_words and not awaited and not user.is_covered(slack):
            floor.ask_for_whole(now)
        self.on_time(now)

    def transcribed(self, event: PartialTranscript | FinalTranscript, now: Millis) -> None:
        """Real words stop the reply, also when a newer transcript has been asked for since."""
        floor, user = self._floor, self._floor.user
        awaited = floor.requests.settle(event.request)
        if user is None or event.request < user.first_request or not (awaited or floor.state == "BARGED_IN"):
            return
        said = judge(
            event.text,
            language=floor.settings.language,
            voiced_ms=user.voiced_ms(event.first, event.end),
            avg_logprob=event.avg_logprob,
            no_speech_prob=event.no_speech_prob,
            over_reply=True,
        )
        user.record(event.end, event.text.strip(), said)
        if said is Said.WORDS:
            user.told = user.text
            floor.do(TellTranscript(user.number, user.text, final=False))
            self._stop(now)
        elif floor.state == "BARGED_IN":
            self.on_time(now)
        elif floor.requests.pending is None:
            floor.forget_user()

    def not_transcribed(self, code: str, message: str, now: Millis) -> None:
        """Once more, then what is known decides."""
        floor, user = self._floor, self._floor.user
        again = None if user is None or user.speaking else floor.requests.ask_again(now)
        if again is not None:
            floor.do(again)
            return
        floor.requests.forget()
        floor.do(TellError(code, message, TurnId(0)))
        if floor.state == "BARGED_IN":
            self.on_time(now)
        else:
            floor.forget_user()

    def on_time(self, now: Millis) -> None:
        """The limit, the next partial transcript, or the end of the wait."""
        user = self._floor.user
        if user is None:
            self._resume(now)
        elif now >= self._limit():
            self._decide_without_words(user, now)
        elif (partial := self._partial_due(user)) is not None and now >= partial:
            self._floor.ask_so_far(now, final=False)
        elif (resume := self._resume_due(user)) is not None and now >= resume:
            self._decide_without_words(user, now)

    def deadline(self) -> Millis:
        """There always is one: nobody is left waiting in mid-sentence."""
        user = self._floor.user
        if user is None:
            return self._floor.entered_at
        due = (self._limit(), self._partial_due(user), self._resume_due(user))
        return min(at for at in due if at is not None)

    @property
    def _listens_to_words(self) -> bool:
        return self._floor.settings.barge_in != "resume_on_silence"

    def _limit(self) -> Millis:
        return Millis(self._floor.entered_at + self._floor.settings.wordless_limit_ms)

    def _partial_due(self, user: Utterance) -> Millis | None:
        """Whisper takes as long for one word as for ten: the next one when the last one is back."""
        floor = self._floor
        if not user.speaking or not self._listens_to_words or floor.requests.pending is not None:
            return None
        asked_before = floor.requests.next_number > user.first_request
        again = floor.requests.asked_at + floor.settings.next_partial_ms if asked_before else 0
        return Millis(max(user.spoke_at + floor.settings.first_partial_ms, again))

    def _resume_due(self, user: Utterance) -> Millis | None:
        if user.speaking or (self._listens_to_words and self._floor.requests.pending is not None):
            return None
        due = user.silent_at + self._floor.settings.resume_delay_ms
        if self._floor.likely_at is not None:
            due = max(due, self._floor.likely_at + self._floor.settings.tentative_hold_limit_ms)
        return Millis(due)

    def _decide_without_words(self, user: Utterance, now: Millis) -> None:
        """Nothing that was understood stops the reply: how long it lasts, and whether it was understood, decide."""
        settings = self._floor.settings
        understood = user.is_covered(settings.end_slack_ms) or not self._listens_to_words
        if user.speaking or (not understood and user.length_ms >= settings.surely_meant_ms):
            self._stop(now)
        else:
            self._resume(now)

    def _stop(self, now: Millis) -> None:
        self._floor.cut_reply(now)
        self._listening.enter(now)

    def _resume(self, now: Millis) -> None:
        """Nothing was meant. A transcript that is still awaited may yet say otherwise."""
        floor = self._floor
        if floor.requests.pending is None:
            floor.forget_user()
        if floor.reply is None:
            self._listening.enter(now)
            return
        floor.reply.moved_at = floor.reply.nudged_at = now
        floor.do(ReleaseGate(floor.reply.turn), ResumeVoice(floor.reply.turn))
        floor.move_to("SPEAKING" if floor.reply.sounding else "THINKING", now)
