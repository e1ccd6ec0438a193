"""What a session and a TTS worker say to each other, on `control.tts.*`.

All positions are speech samples at 48 kHz, counted from the turn's first one.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from protocol.ids import ModelField, PositionField, SessionField, TurnField, TurnId
from protocol.message import Code, Language, Message, Reason

Speed = Annotated[float, Field(ge=0.5, le=2.0)]
ReferenceId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSpeaking(Message):
    """Hold this model ready for the session (request and reply). Harmless when repeated; replaces what was held."""

    session: SessionField
    model: ModelField | None = None
    language: Language = "en"
    speed: Speed = 1.0
    reference: ReferenceId | None = None
    type: Literal["start"] = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingReady(Message):
    """The reply to `StartSpeaking`; `resident` says whether the model was loaded before."""

    session: SessionField
    model: ModelField
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)]
    resident: bool
    type: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingRefused(Message):
    """The other reply to `StartSpeaking`."""

    session: SessionField
    code: Code
    reason: Reason
    type: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk(Message):
    """A piece of a reply that can be spoken; `index` counts from 0 within the turn. `last` may come with empty text."""

    session: SessionField
    turn: TurnField
    index: Annotated[int, Field(ge=0, lt=2**31)]
    text: Annotated[str, Field(max_length=4_000)]
    last: bool = False
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Message):
    """Fall silent at the next frame and hold the place. Harmless when late or repeated."""

    session: SessionField
    turn: TurnField
    type: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Message):
    """Go on at `from_sample`, the first sample that the gateway does not hold; send again what was lost on the way."""

    session: SessionField
    turn: TurnField
    from_sample: PositionField
    type: Literal["resume"] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Message):
    """Drop the turn and everything before it. Harmless when late or repeated."""

    session: SessionField
    turn: TurnField
    type: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpeaking(Message):
    """Forget the session."""

    session: SessionField
    type: Literal["end"] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A word of ours, in speech samples of its turn."""

    text: Annotated[str, Field(max_length=200)]
    first: PositionField
    end: PositionField


@dataclass(frozen=True, slots=True, kw_only=True)
class _TurnEvent(Message):
    session: SessionField
    turn: TurnField


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechBegan(_TurnEvent):
    """The first frame of the turn has left; `first_audio_ms` counts from the turn's first text."""

    first_audio_ms: Annotated[float, Field(ge=0.0)]
    type: Literal["started"] = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhrasePlaced(_TurnEvent):
    """Where in the turn's audio a piece of text stands.

    Sent when its synthesis begins (`end` is None) and again when it is complete. `exact` says whether the words'
    times come from the model or are estimated from their length.
    """

    index: Annotated[int, Field(ge=0, lt=2**31)]
    text: Annotated[str, Field(max_length=4_000)]
    first: PositionField
    end: PositionField | None = None
    words: tuple[SpokenWord, ...] = ()
    exact: bool = False
    type: Literal["phrase"] = "phrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPaused(_TurnEvent):
    """Silent; `next_sample` is the first one that has not left."""

    next_sample: PositionField
    type: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResumed(_TurnEvent):
    """Goes on, at `from_sample`."""

    from_sample: PositionField
    type: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFinished(_TurnEvent):
    """The last frame of the turn has left; it had `samples` samples."""

    samples: PositionField
    type: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingFailed(Message):
    """The turn can't be spoken on (turn 0: the session can't be served)."""

    session: SessionField
    code: Code
    reason: Reason
    turn: TurnField = TurnId(0)
    type: Literal["failed"] = "failed"


TtsCommand = Annotated[
    StartSpeaking | TextChunk | Pause | Resume | Stop | EndSpeaking,
    Field(discriminator="type"),
]
TtsEvent = Annotated[
    SpeechBegan | PhrasePlaced | SpeechPaused | SpeechResumed | SpeechFinished | SpeakingFailed,
    Field(discriminator="type"),
]
