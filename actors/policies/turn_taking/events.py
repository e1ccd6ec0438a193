"""What turn-taking is told, beside the protocol's own messages (voice activity, transcripts, `Say`, `Interrupt`)."""

from dataclasses import dataclass

from protocol.conversation import Interrupt, Say
from protocol.hearing import AsrEvent, VadEvent
from protocol.ids import Samples, TurnId


@dataclass(frozen=True, slots=True)
class TextHandedOver:
    """A piece of the turn's text went to the voice; `last` when no more follows."""

    turn: TurnId
    last: bool


@dataclass(frozen=True, slots=True)
class FirstFrameLeft:
    """The first frame of the turn has left for the client."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class PlayoutMoved:
    """So much of the turn was handed to the client's transport."""

    turn: TurnId
    played: Samples


@dataclass(frozen=True, slots=True)
class ListenerAway:
    """There is sound to play, and the client does not take it: its connection is lost, not our voice."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class LastFrameLeft:
    """The last frame of the turn has left for the client, or it has none."""

    turn: TurnId


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The language model gave no reply, or no more of it."""

    turn: TurnId
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class VoiceFailed:
    """The voice can't speak the turn on."""

    turn: TurnId
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class VoiceLost:
    """The worker that speaks is gone."""


@dataclass(frozen=True, slots=True)
class VoiceReturned:
    """A worker is ready to speak again."""


@dataclass(frozen=True, slots=True)
class RecognizerLost:
    """The worker that transcribes is gone; what is asked waits for another one, and so does the sound."""


@dataclass(frozen=True, slots=True)
class RecognizerReturned:
    """A worker has all the sound that is kept, and was asked what was asked last."""


@dataclass(frozen=True, slots=True)
class CompletenessJudged:
    """A turn detector's opinion on the user's last speech: 1 when certainly finished."""

    completeness: float


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """The session closes."""


Event = (
    VadEvent
    | AsrEvent
    | Say
    | Interrupt
    | TextHandedOver
    | FirstFrameLeft
    | PlayoutMoved
    | ListenerAway
    | LastFrameLeft
    | ReplyFailed
    | VoiceFailed
    | VoiceLost
    | VoiceReturned
    | RecognizerLost
    | RecognizerReturned
    | CompletenessJudged
    | SessionEnding
)
