"""A recognizer that hears loudness: as many words as there are loud tenths of a second. Fast, exact, and no model."""

import threading
from collections.abc import Callable

import numpy as np

from protocol.audio import MIC_RATE
from protocol.errors import RecognitionFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, Recognition, RecognizedWord

_TENTH = MIC_RATE // 10
_LOUD = 0.02
_FULL_S = 30


class FakeRecognizer:
    """Says "word" once per loud tenth of a second.

    Attributes:
        calls: samples, language and finality of each call, in order.
        gate: clear it to keep the next transcription under way until it is set again.
        breaks: what to raise at the next call.
    """

    def __init__(self, *, model: str = "whisper-fake") -> None:
        self._model = ModelId(model)
        self.calls: list[tuple[int, str, bool]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.breaks: Exception | None = None
        self.closed = False

    @property
    def model(self) -> ModelId:
        return self._model

    def transcribe(self, audio: Pcm, *, language: str, final: bool) -> Recognition:
        assert self.gate.wait(10), "a test forgot to open the gate"
        self.calls.append((len(audio), language, final))
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        if len(audio) > _FULL_S * MIC_RATE:
            raise RecognitionFailed("more than 30 s")
        loud = [i for i in range(len(audio) // _TENTH) if np.abs(audio[i * _TENTH : (i + 1) * _TENTH]).mean() > _LOUD]
        return Recognition(
            text=" ".join("word" for _ in loud),
            avg_logprob=-0.2 if loud else -1.0,
            no_speech_prob=0.1 if loud else 0.9,
            words=tuple(RecognizedWord(text="word", start_s=i / 10, end_s=(i + 1) / 10, probability=0.9) for i in loud),
        )

    def close(self) -> None:
        self.closed = True


def loading(recognizer: FakeRecognizer) -> Callable[[], FakeRecognizer]:
    """What an actor calls to load it."""
    return lambda: recognizer
