"""What turn-taking wants done, in the order in which it is to be done."""

from dataclasses import dataclass

from protocol.conversation import State
from protocol.ids import Samples, TurnId


@dataclass(frozen=True, slots=True)
class HoldGate:
    """Play nothing more of the turn, now; nothing may come before it."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class ReleaseGate:
    """Go on with what the gate holds."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class PauseVoice:
    """The worker holds its place."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class ResumeVoice:
    """The worker goes on at the first sample that the gate does not hold."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class NudgeVoice:
    """Nothing comes though it should: ask for what may be lost, and see whether the worker lives."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class StopVoice:
    """Flush the gate, stop the worker and the language model: nothing of the turn sounds any more."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class AskTranscript:
    """Have these microphone samples transcribed."""

    request: int
    first: Samples
    end: Samples
    final: bool


@dataclass(frozen=True, slots=True)
class PrepareReply:
    """Begin a reply to the history and `text`, unheard: the gate is expecting it shut, the client is told nothing."""

    turn: TurnId
    text: str


@dataclass(frozen=True, slots=True)
class AdoptReply:
    """The prepared reply is the reply; let it sound."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class DropReply:
    """The prepared reply is not wanted: as `StopVoice`, and nobody ever heard of it."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class CommitUser:
    """The user's words go into the history."""

    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class WithdrawUser:
    """They come out again: the user was not done."""

    utterance: int


@dataclass(frozen=True, slots=True)
class AskReply:
    """Begin the reply to the history."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class SpeakText:
    """Begin a turn that says this text; more follows unless `last`."""

    turn: TurnId
    text: str
    last: bool


@dataclass(frozen=True, slots=True)
class AddText:
    """More text of a turn that `SpeakText` began."""

    turn: TurnId
    text: str
    last: bool


@dataclass(frozen=True, slots=True)
class EndText:
    """No more text of this turn comes: speak what there is and finish."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class ContinueReply:
    """What was not heard of `turn` is spoken as turn `anew`; the gate stays shut if `held`."""

    turn: TurnId
    anew: TurnId
    held: bool


@dataclass(frozen=True, slots=True)
class CommitReply:
    """The whole reply was heard: into the history with it."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class CutReply:
    """The history gets what was heard of the reply and no more."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class TellState:
    """Who has the floor now."""

    state: State
    turn: TurnId


@dataclass(frozen=True, slots=True)
class TellTranscript:
    """What the user said; one that is not final may be replaced."""

    utterance: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class TellError:
    """Something failed."""

    code: str
    message: str
    turn: TurnId


@dataclass(frozen=True, slots=True)
class ReleaseAll:
    """The session is closed."""


Command = (
    HoldGate
    | ReleaseGate
    | PauseVoice
    | ResumeVoice
    | NudgeVoice
    | StopVoice
    | AskTranscript
    | PrepareReply
    | AdoptReply
    | DropReply
    | CommitUser
    | WithdrawUser
    | AskReply
    | SpeakText
    | AddText
    | EndText
    | ContinueReply
    | CommitReply
    | CutReply
    | TellState
    | TellTranscript
    | TellError
    | ReleaseAll
)
