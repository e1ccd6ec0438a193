"""What is heard: voice activity on `control.vad.*`, transcription on `control.asr.*`.

All positions are microphone samples at 16 kHz, counted from the session's first one.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from protocol.ids import PositionField, SessionField
from protocol.message import Code, Language, Message, Probability, Reason, Text

RequestId = Annotated[int, Field(ge=0, lt=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _VoiceActivity(Message):
    session: SessionField
    at: PositionField
    probability: Probability


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechLikely(_VoiceActivity):
    """The first window over the threshold; `SpeechStarted` or `SpeechUnlikely` follows. `at` is its first sample."""

    type: Literal["speech_likely"] = "speech_likely"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechUnlikely(_VoiceActivity):
    """The window after `SpeechLikely` disagreed: it was a click."""

    type: Literal["speech_unlikely"] = "speech_unlikely"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(_VoiceActivity):
    """Somebody speaks; `at` is the first sample of the speech, a little before it was noticed."""

    type: Literal["speech_started"] = "speech_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStopped(_VoiceActivity):
    """Silence for as long as the session's configuration asks; `at` is the first sample of that silence."""

    type: Literal["speech_stopped"] = "speech_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartListening(Message):
    """Keep this session's audio (`audio.frames.<sid>.mic`) in a ring buffer. Harmless when repeated."""

    session: SessionField
    language: Language = "en"
    type: Literal["start"] = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe(Message):
    """Say what was spoken from `first` up to `end`. A newer request of a session takes the place of its older ones.

    A request may name samples that are still on their way: it waits for them, for a bounded time.
    """

    session: SessionField
    request: RequestId
    first: PositionField
    end: PositionField
    final: bool
    language: Language = "en"
    type: Literal["transcribe"] = "transcribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndListening(Message):
    """Forget the session and its audio."""

    session: SessionField
    type: Literal["end"] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """A word of the user, in microphone samples."""

    text: Annotated[str, Field(max_length=200)]
    first: PositionField
    end: PositionField
    probability: Probability


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transcript(Message):
    session: SessionField
    request: RequestId
    first: PositionField
    end: PositionField
    text: Text
    avg_logprob: float
    no_speech_prob: Probability
    compute_ms: Annotated[float, Field(ge=0.0)] = 0.0
    words: tuple[HeardWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialTranscript(_Transcript):
    """What was said so far. `text` is empty when nothing was recognised."""

    type: Literal["partial"] = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalTranscript(_Transcript):
    """What was said in the range asked for."""

    type: Literal["final"] = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionFailed(Message):
    """No transcript: the request was overtaken (`stale`), its audio is gone (`no-audio`), or the model failed."""

    session: SessionField
    request: RequestId
    code: Code
    reason: Reason
    type: Literal["failed"] = "failed"


VadEvent = Annotated[SpeechLikely | SpeechUnlikely | SpeechStarted | SpeechStopped, Field(discriminator="type")]
AsrCommand = Annotated[StartListening | Transcribe | EndListening, Field(discriminator="type")]
AsrEvent = Annotated[PartialTranscript | FinalTranscript | TranscriptionFailed, Field(discriminator="type")]
