"""What all states of turn-taking share: who has the floor, with what, and the commands that were given."""

from actors.policies.turn_taking.commands import (
    AskTranscript,
    Command,
    CutReply,
    DropReply,
    StopVoice,
    TellError,
    TellState,
    TellTranscript,
)
from actors.policies.turn_taking.own_turn import OwnTurn, Prepared, Sayings
from actors.policies.turn_taking.requests import TranscriptRequests
from actors.policies.turn_taking.settings import TurnTakingSettings
from actors.policies.turn_taking.utterance import Utterance
from protocol.conversation import State
from protocol.ids import Millis, Samples, TurnId


class Floor:
    """The shared state. `reply` is set exactly while the state is not LISTENING; `prepared` only while it is.

    Attributes:
        entered_at: when the state began.
        user: the utterance that is under way, or that the reply being made answers.
        likely_at: when a sound began that may be speech.
    """

    def __init__(self, settings: TurnTakingSettings) -> None:
        self.settings = settings
        self.state: State = "LISTENING"
        self.closed = False
        self.entered_at = Millis(0)
        self.reply: OwnTurn | None = None
        self.prepared: Prepared | None = None
        self.user: Utterance | None = None
        self.requests = TranscriptRequests(settings.transcript_timeout_ms, return_time=settings.recognizer_return_ms)
        self.sayings = Sayings()
        self.likely_at: Millis | None = None
        self.commands: list[Command] = []
        self._turns = 0
        self._utterances = 0

    def do(self, *commands: Command) -> None:
        """Give commands, to be executed in this order."""
        self.commands.extend(commands)

    def next_turn(self) -> TurnId:
        """A number that no turn has had."""
        self._turns += 1
        return TurnId(self._turns)

    def move_to(self, state: State, now: Millis) -> None:
        """The floor passes."""
        self.state = state
        self.entered_at = now
        self.do(TellState(state, self.reply.turn if self.reply is not None else TurnId(0)))

    def hear_user(self, at: Samples, now: Millis) -> Utterance:
        """The user speaks: the utterance under way goes on, or one begins."""
        if self.user is None:
            self._utterances += 1
            self.user = Utterance(self._utterances, at, now, self.requests.next_number)
        else:
            self.user.go_on(at, now)
        return self.user

    def forget_user(self) -> None:
        """The utterance is over; what is still said about it is not waited for."""
        self.user = None
        self.requests.forget()

    def settle_user(self) -> None:
        """The utterance is answered: its text is final."""
        if self.user is not None and self.user.committed:
            self.do(TellTranscript(self.user.number, self.user.text, final=True))
            self.forget_user()

    def ask_for_whole(self, now: Millis) -> None:
        """A final transcript of all that the user said."""
        if self.user is not None:
            first, end = self.user.whole_range(self.settings.whole_utterance_ms)
            self.do(self.requests.ask(first, end, final=True, now=now))

    def ask_so_far(self, now: Millis, *, final: bool) -> AskTranscript | None:
        """A transcript of what the user said until now."""
        if self.user is None:
            return None
        first, end = self.user.range_so_far(now)
        command = self.requests.ask(first, end, final=final, now=now)
        self.do(command)
        return command

    def drop_prepared(self) -> None:
        """The prepared reply answers something that the user did not mean."""
        if self.prepared is not None:
            self.do(DropReply(self.prepared.reply.turn))
            self.prepared = None

    def end_reply(self, now: Millis) -> None:
        """The reply ends here; the history gets what was heard of it."""
        reply, self.reply = self.reply, None
        if reply is None:
            return
        self.do(StopVoice(reply.turn), CutReply(reply.turn))
        if reply.origin == "say" and reply.open:
            self.sayings.cut_at = now

    def cut_reply(self, now: Millis) -> None:
        """Somebody else takes the floor: the reply ends here, and what was to be said after it is not said."""
        self.end_reply(now)
        dropped = self.sayings.drop(now)
        if dropped:
            self.do(TellError("say-dropped", f"Texts that waited to be spoken are dropped: {dropped}.", TurnId(0)))

    def fail_reply(self, code: str, message: str, now: Millis) -> None:
        """The reply can't go on: say why."""
        if self.reply is not None:
            self.do(TellError(code, message, self.reply.turn))
        self.end_reply(now)
