"""Turn-taking by hand: a time that the test moves, and the commands that came of each step."""

from typing import Any

from actors.policies.turn_taking import TurnTaking, TurnTakingSettings
from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.conversation import Interrupt, Say
from protocol.hearing import (
    FinalTranscript,
    PartialTranscript,
    SpeechLikely,
    SpeechStarted,
    SpeechStopped,
    SpeechUnlikely,
    TranscriptionFailed,
)
from protocol.ids import Millis, Samples, SessionId, TurnId

SID = SessionId("s")


class Talk:
    """`did` holds the commands of the latest step, `log` all of them."""

    def __init__(self, **settings: Any) -> None:
        self.turns = TurnTaking(TurnTakingSettings(**settings))
        self.now = 10_000
        self.did: list[c.Command] = []
        self.log: list[c.Command] = []

    @property
    def state(self) -> str:
        return self.turns.state

    def on(self, event: e.Event) -> "Talk":
        self._take(self.turns.on(event, Millis(self.now)))
        return self

    def wait(self, ms: int) -> "Talk":
        """Time passes; deadlines are met on time."""
        until = self.now + ms
        done: list[c.Command] = []
        while (due := self.turns.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            done += self.turns.on_time(Millis(self.now))
        self.now = until
        self._take(done)
        return self

    def likely(self) -> "Talk":
        return self.on(SpeechLikely(session=SID, at=self._mic(), probability=0.6))

    def unlikely(self) -> "Talk":
        return self.on(SpeechUnlikely(session=SID, at=self._mic(), probability=0.2))

    def starts(self) -> "Talk":
        """The user does, noticed after two windows, and set two windows before them."""
        return self.on(SpeechStarted(session=SID, at=Samples(self._mic() - 2_048), probability=0.9))

    def stops(self) -> "Talk":
        """The user did, noticed after 200 ms."""
        return self.on(SpeechStopped(session=SID, at=Samples(self._mic() - 3_200), probability=0.1))

    def asked(self) -> c.AskTranscript:
        return [x for x in self.log if isinstance(x, c.AskTranscript)][-1]

    def understood(
        self,
        text: str,
        *,
        final: bool = True,
        quality: float = -0.2,
        noise: float = 0.1,
        asked: c.AskTranscript | None = None,
    ) -> "Talk":
        """The recognizer answers the newest request, or another one."""
        request = asked or self.asked()
        kind = FinalTranscript if final else PartialTranscript
        return self.on(
            kind(
                session=SID,
                request=request.request,
                first=request.first,
                end=request.end,
                text=text,
                avg_logprob=quality,
                no_speech_prob=noise,
            )
        )

    def not_understood(self, code: str = "failed") -> "Talk":
        return self.on(TranscriptionFailed(session=SID, request=self.asked().request, code=code, reason="no"))

    def says(self, text: str, *, ms: int = 1_500, quality: float = -0.2) -> "Talk":
        """The user speaks, is silent, and is understood 100 ms later."""
        return self.starts().wait(ms).stops().wait(100).understood(text, quality=quality)

    def say(self, text: str, *, last: bool = True) -> "Talk":
        return self.on(Say(text=text, last=last))

    def interrupt(self) -> "Talk":
        return self.on(Interrupt())

    def text(self, *, last: bool = True) -> "Talk":
        return self.on(e.TextHandedOver(self.turns.turn or self.turns.prepared, last))

    def first_frame(self) -> "Talk":
        return self.on(e.FirstFrameLeft(self.turns.turn))

    def played(self, samples: int) -> "Talk":
        return self.on(e.PlayoutMoved(self.turns.turn, Samples(samples)))

    def last_frame(self) -> "Talk":
        return self.on(e.LastFrameLeft(self.turns.turn))

    def kinds(self) -> list[type[c.Command]]:
        """Of the latest step, without what is only told."""
        return [type(x) for x in self.did if not isinstance(x, c.TellState | c.TellTranscript | c.TellError)]

    def all_of(self, kind: type[Any]) -> list[Any]:
        return [x for x in self.log if isinstance(x, kind)]

    def errors(self) -> list[str]:
        return [x.code for x in self.log if isinstance(x, c.TellError)]

    def _mic(self) -> Samples:
        return Samples(self.now * 16)

    def _take(self, commands: list[c.Command]) -> None:
        self.did = commands
        self.log += commands


def thinking(**settings: Any) -> Talk:
    """The user has asked for the time."""
    return Talk(**settings).says("What time is it?").wait(1_000)


def speaking(**settings: Any) -> Talk:
    """And is being told."""
    return thinking(**settings).text().first_frame().played(960)


def barged_in(**settings: Any) -> Talk:
    """And makes a sound."""
    return speaking(**settings).starts()


TURN_ONE = TurnId(1)
