"""What a client and its session say to each other: commands up, events down, and the gate between them.

The same JSON travels on `control.session.*`, over the WebSocket and over the data channel `events`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from protocol.ids import MillisField, PositionField, SessionField, TurnField, TurnId
from protocol.message import Code, Language, Message, Reason, Text
from protocol.routing import WhenCold
from protocol.speaking import Speed

BargeIn = Literal["words", "any_speech", "resume_on_silence"]
State = Literal["LISTENING", "THINKING", "SPEAKING", "BARGED_IN"]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What a client may choose at `open` and change by `configure`; None leaves the deployment's default.

    A key that does not exist is refused: a client that misspells an option should hear of it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    voice: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] | None = None
    language: Language | None = None
    speed: Speed | None = None
    barge_in: BargeIn | None = None
    end_of_turn_ms: Annotated[MillisField, Field(ge=200, le=3_000)] | None = None
    resume_delay_ms: Annotated[MillisField, Field(ge=0, le=3_000)] | None = None
    tentative_hold: bool | None = None
    system_prompt: Annotated[str, Field(max_length=8_000)] | None = None
    when_cold: WhenCold | None = None
    """For a voice that is in no worker's memory (see `protocol.routing.WhenCold`)."""
    reference: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,64}$")] | None = None
    """A recording that the voice is to imitate, as `POST /references` named it; empty: none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession(Message):
    """The first message of a WebSocket."""

    config: SessionConfig = SessionConfig()
    type: Literal["open"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSession(Message):
    """The other first message: come back to a session after a lost connection."""

    session: SessionField
    token: Token
    type: Literal["resume"] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Message):
    """The reply to both; `token` is what `ResumeSession` asks for."""

    session: SessionField
    token: Token
    config: SessionConfig
    voices: tuple[str, ...] = ()
    resumed: bool = False
    type: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Message):
    """Speak this text as a turn; `last` False means that more text of the same turn follows."""

    text: Text
    session: SessionField | None = None
    last: bool = True
    type: Literal["say"] = "say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Message):
    """Stop the current reply, as if the user had spoken."""

    session: SessionField | None = None
    type: Literal["interrupt"] = "interrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(Message):
    """Change what `config` names; a voice takes effect with the next turn."""

    config: SessionConfig
    session: SessionField | None = None
    type: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPlayout(Message):
    """A client with a buffer of its own says how much of the turn its loudspeaker has played."""

    turn: TurnField
    played: PositionField
    session: SessionField | None = None
    type: Literal["playout"] = "playout"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession(Message):
    """End the conversation."""

    session: SessionField | None = None
    type: Literal["close"] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Message):
    """The reply to a command that was taken."""

    session: SessionField
    type: Literal["accepted"] = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused(Message):
    """The reply to a command that was not; over a WebSocket also to an `open` that was not granted."""

    code: Code
    reason: Reason
    session: SessionField | None = None
    type: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playout(Message):
    """How far the client is: every 100 ms while something plays, and at each change.

    `played` counts samples of the turn that were handed to the client's transport, `queued` those that wait in the
    gate, so `played + queued` is the first sample that the gateway does not hold.
    """

    session: SessionField
    turn: TurnField
    played: PositionField
    queued: PositionField
    held: bool = False
    type: Literal["playout"] = "playout"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SessionEvent(Message):
    session: SessionField


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(_SessionEvent):
    """Who has the floor now; `turn` is the reply in question, 0 when there is none."""

    state: State
    turn: TurnField = TurnId(0)
    type: Literal["state"] = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript(_SessionEvent):
    """What the user said. A later one with the same `utterance` replaces it; a `final` one is not replaced."""

    utterance: Annotated[int, Field(ge=0)]
    text: Text
    final: bool
    type: Literal["transcript"] = "transcript"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(_SessionEvent):
    """The next piece of our reply's text, as it is handed to the voice."""

    turn: TurnField
    text: Text
    last: bool = False
    type: Literal["reply"] = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(_SessionEvent):
    """How much of a reply was heard, when that is settled: `heard` + `unheard` is its whole text."""

    turn: TurnField
    heard: Text
    unheard: Text
    interrupted: bool
    exact: bool
    type: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMeasured(_SessionEvent):
    """The latencies of a turn, in ms; a name is missing when its event did not happen.

    Names: `end_of_speech_to_transcript`, `end_of_speech_to_first_frame`, `reply_to_first_text`,
    `text_to_first_frame`, `speech_started_to_hold`, `asr_compute`.
    """

    turn: TurnField
    latencies_ms: dict[Annotated[str, Field(max_length=64)], float]
    voice: Annotated[str, Field(max_length=64)] = ""
    type: Literal["turn"] = "turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionError(_SessionEvent):
    """Something failed and the session lives on."""

    code: Code
    message: Reason
    turn: TurnField = TurnId(0)
    type: Literal["error"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(_SessionEvent):
    """The end; nothing follows."""

    reason: Reason
    type: Literal["closed"] = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateCommand(Message):
    session: SessionField
    turn: TurnField


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(_GateCommand):
    """Play nothing more of this turn, but keep what is queued. Harmless when late or repeated."""

    type: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(_GateCommand):
    """Go on with what is queued."""

    type: Literal["release"] = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush(_GateCommand):
    """Drop what is queued of this turn and everything older; nothing of it is played any more."""

    type: Literal["flush"] = "flush"


SessionCommand = Annotated[Say | Interrupt | Configure | CloseSession, Field(discriminator="type")]
"""Without `ClientPlayout`, which only a connection carries: on its subject the gateway tells of its own playout."""
ClientMessage = Annotated[
    OpenSession | ResumeSession | Say | Interrupt | Configure | ClientPlayout | CloseSession,
    Field(discriminator="type"),
]
SessionEvent = Annotated[
    StateChanged | Transcript | Reply | Heard | TurnMeasured | SessionError | SessionClosed,
    Field(discriminator="type"),
]
GateCommand = Annotated[Hold | Release | Flush, Field(discriminator="type")]
ServerMessage = Annotated[
    SessionOpened
    | Accepted
    | CommandRefused
    | StateChanged
    | Transcript
    | Reply
    | Heard
    | TurnMeasured
    | SessionError
    | SessionClosed
    | Hold
    | Release
    | Flush,
    Field(discriminator="type"),
]
"""Everything that a client may receive as text."""
