"""We have the floor, or are about to: from the question to the last frame, whatever breaks on the way."""

from actors.policies.turn_taking.commands import (
    AddText,
    CommitReply,
    ContinueReply,
    EndText,
    NudgeVoice,
    TellError,
    WithdrawUser,
)
from actors.policies.turn_taking.events import (
    FirstFrameLeft,
    LastFrameLeft,
    ListenerAway,
    PlayoutMoved,
    ReplyFailed,
    TextHandedOver,
    VoiceFailed,
)
from actors.policies.turn_taking.floor import Floor
from actors.policies.turn_taking.listening import Listening
from actors.policies.turn_taking.own_turn import OwnTurn
from protocol.conversation import Say
from protocol.ids import Millis, Samples


class Replying:
    """What happens to our own turn in THINKING, SPEAKING and BARGED_IN."""

    def __init__(self, floor: Floor, listening: Listening) -> None:
        self._floor = floor
        self._listening = listening

    def taken_back(self, now: Millis) -> None:
        """The user was not done: the reply is dropped, and the words are joined with what follows."""
        floor = self._floor
        if floor.user is not None and floor.user.committed:
            floor.user.committed = False
            floor.do(WithdrawUser(floor.user.number))
        floor.end_reply(now)

    def interrupt(self, now: Millis) -> None:
        """The client wants silence."""
        floor = self._floor
        if floor.reply is None:
            return
        floor.settle_user()
        floor.cut_reply(now)
        self._listening.enter(now)

    def say(self, say: Say, now: Millis) -> None:
        """More of the text that is being said, or one for later."""
        reply = self._floor.reply
        if reply is not None and reply.origin == "say" and reply.open:
            reply.open = not say.last
            reply.moved_at = now
            self._floor.do(AddText(reply.turn, say.text, last=say.last))
            return
        self._floor.sayings.add(say)

    def handed_over(self, event: TextHandedOver, now: Millis) -> None:
        """The voice has something to do."""
        prepared = self._floor.prepared
        reply = self._current(event.turn)
        if prepared is not None and prepared.reply.turn == event.turn:
            reply = prepared.reply
        if reply is not None and reply.origin == "reply":
            reply.handed = True
            reply.open = not event.last
            reply.moved_at = now

    def first_frame(self, event: FirstFrameLeft, now: Millis) -> None:
        """The client hears us: what the user said before is settled."""
        reply = self._current(event.turn)
        if reply is None:
            return
        reply.sounding = True
        reply.moved_at = now
        reply.away_since = None
        if self._floor.state == "THINKING":
            self._floor.settle_user()
            self._floor.move_to("SPEAKING", now)

    def played(self, event: PlayoutMoved, now: Millis) -> None:
        """It goes on."""
        reply = self._current(event.turn)
        if reply is not None and event.played > reply.played:
            reply.played = event.played
            reply.moved_at = now
            reply.away_since = None

    def listener_away(self, event: ListenerAway, now: Millis) -> None:
        """Keep the place for a client that comes back."""
        reply = self._current(event.turn)
        if reply is not None and reply.handed:
            reply.moved_at = now
            reply.away_since = now if reply.away_since is None else reply.away_since

    def last_frame(self, event: LastFrameLeft, now: Millis) -> None:
        """All was said."""
        floor = self._floor
        if self._current(event.turn) is None:
            return
        floor.settle_user()
        floor.do(CommitReply(event.turn))
        floor.reply = None
        self._listening.enter(now)

    def failed(self, event: ReplyFailed, now: Millis) -> None:
        """No reply: say why. If a part of it is on its way, that part is spoken to its end."""
        floor = self._floor
        if floor.prepared is not None and event.turn == floor.prepared.reply.turn:
            floor.drop_prepared()  # it is asked for again when the turn is really over
            return
        reply = self._current(event.turn)
        if reply is None:
            return
        if reply.handed and reply.open:
            reply.open = False
            reply.moved_at = now
            floor.do(TellError(event.code, event.message, reply.turn), EndText(reply.turn))
            return
        self._give_up(event.code, event.message, now)
        self._apologise(reply, now)

    def voice_failed(self, event: VoiceFailed, now: Millis) -> None:
        """The voice can't go on; without it there is no apology either."""
        if self._floor.prepared is not None and event.turn == self._floor.prepared.reply.turn:
            self._floor.drop_prepared()
        elif self._current(event.turn) is not None:
            self._give_up(event.code, event.message, now)

    def voice_lost(self, now: Millis) -> None:
        """The worker is gone: wait for another one."""
        self._floor.drop_prepared()
        if self._floor.reply is not None and self._floor.reply.lost_at is None:
            self._floor.reply.lost_at = now

    def voice_returned(self, now: Millis) -> None:
        """Go on with what was not heard, under a new number, so that nothing of the old turn is mistaken for it."""
        floor, reply = self._floor, self._floor.reply
        if reply is None or reply.lost_at is None:
            return
        before, reply.turn = reply.turn, floor.next_turn()
        reply.lost_at = None
        reply.moved_at = reply.nudged_at = now
        reply.played = Samples(0)
        reply.away_since = None
        floor.do(ContinueReply(before, reply.turn, held=floor.state == "BARGED_IN" or floor.likely_at is not None))
        floor.move_to(floor.state, floor.entered_at)

    def on_time(self, now: Millis) -> None:
        """Nudge what stalls, end what has ended, give up what does not come."""
        floor, reply = self._floor, self._floor.reply
        if reply is None:
            return
        if now >= self._limit(reply):
            code, message = self._what_failed(reply)
            self._give_up(code, message, now)
            if code == "reply-timeout":
                self._apologise(reply, now)
        elif (idle := self._say_idle(reply)) is not None and now >= idle:
            reply.open = False
            reply.moved_at = now
            floor.do(EndText(reply.turn))
        elif (nudge := self._nudge_due(reply)) is not None and now >= nudge:
            reply.nudged_at = now
            floor.do(NudgeVoice(reply.turn))

    def deadline(self) -> Millis | None:
        """When to look after the reply."""
        reply = self._floor.reply
        if reply is None:
            return None
        due = (self._limit(reply), self._say_idle(reply), self._nudge_due(reply))
        return min(at for at in due if at is not None)

    def _current(self, turn: int) -> OwnTurn | None:
        reply = self._floor.reply
        return reply if reply is not None and reply.turn == turn else None

    def _limit(self, reply: OwnTurn) -> Millis:
        settings = self._floor.settings
        if reply.lost_at is not None:
            return Millis(reply.lost_at + settings.voice_return_ms)
        if reply.away_since is not None:
            return Millis(reply.away_since + settings.listener_return_ms)
        patient = reply.open or not reply.sounding
        return Millis(reply.moved_at + (settings.reply_timeout_ms if patient else settings.stall_limit_ms))

    def _say_idle(self, reply: OwnTurn) -> Millis | None:
        if reply.origin != "say" or not reply.open:
            return None
        return Millis(reply.moved_at + self._floor.settings.say_idle_ms)

    def _nudge_due(self, reply: OwnTurn) -> Millis | None:
        if not reply.handed or reply.lost_at is not None:
            return None
        settings = self._floor.settings
        patience = settings.stall_nudge_ms if reply.sounding else settings.first_nudge_ms
        return Millis(max(reply.moved_at, reply.nudged_at) + patience)

    @staticmethod
    def _what_failed(reply: OwnTurn) -> tuple[str, str]:
        if reply.lost_at is not None:
            return "voice-lost", "The voice's worker is gone and did not come back in time."
        if reply.away_since is not None:
            return "listener-gone", "The client takes no sound."
        if reply.handed:
            return "voice-stalled", "The voice sends no sound."
        return "reply-timeout", "No reply came in time."

    def _give_up(self, code: str, message: str, now: Millis) -> None:
        floor = self._floor
        floor.settle_user()
        floor.fail_reply(code, message, now)
        self._listening.enter(now)

    def _apologise(self, failed: OwnTurn, now: Millis) -> None:
        floor = self._floor
        if failed.origin == "reply" and floor.settings.apology and floor.state == "LISTENING" and floor.user is None:
            self._listening.speak(floor.settings.apology, "apology", now)
