"""Voice activity and recognition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.ids import ModelId
from protocol.ports.sound import Pcm


class VoiceActivityStream(Protocol):
    """One session's detector state. On a thread."""

    def probability(self, window: Pcm) -> float:
        """Of speech in the next 512 samples at 16 kHz."""


class VoiceActivityModel(Protocol):
    """A loaded detector that serves many sessions."""

    def open_stream(self) -> VoiceActivityStream:
        """State for one more session."""

    def probabilities(self, streams: Sequence[VoiceActivityStream], windows: Sequence[Pcm]) -> Sequence[float]:
        """Of speech in the next window of each of these streams, all in one inference: the same, but cheaper.

        The streams are this model's own and differ from each other. When it raises, no stream has moved on.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizedWord:
    """Times in seconds from the beginning of the audio."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What a recognizer made of some audio."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    words: tuple[RecognizedWord, ...] = ()


class SpeechRecognizer(Protocol):
    """A loaded ASR model. On a thread."""

    @property
    def model(self) -> ModelId:
        """Its name."""

    def transcribe(self, audio: Pcm, *, language: str, final: bool) -> Recognition:
        """The words in `audio` (16 kHz); `final` may spend more time than a partial one.

        Raises:
            RecognitionFailed: with the model's reason.
        """

    def close(self) -> None:
        """Give the memory back."""
