"""Speech recognition on a thread of its own: one transcription per inbox turn."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import pykka
import structlog

from actors.mailbox import Mailbox
from protocol.audio import MIC_RATE
from protocol.errors import ModelUnavailable, RecognitionFailed
from protocol.hearing import Transcribe
from protocol.ids import ModelId
from protocol.ports import Pcm, Recognition, SpeechRecognizer

log = structlog.get_logger()

_WARM_UP_S: Final = 2.0
_RUNS: Final = 2
"""The first transcription allocates; the second one tells what the next will cost."""


@dataclass(frozen=True, slots=True)
class Transcribing:
    """A request with its sound: s16le at 16 kHz, from the request's `first` to its `end`."""

    request: Transcribe
    pcm: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The model is loaded and warm; `warm_up_ms` is what a clip of `warm_up_sound_ms` took."""

    model: ModelId
    load_ms: float
    warm_up_ms: float
    warm_up_sound_ms: float


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What the model made of it, or why it failed; `compute_ms` on this thread."""

    request: Transcribe
    result: Recognition | str
    compute_ms: float


class AsrActor(pykka.ThreadingActor):
    """Loads its model on its own thread, tells `on_ready` the outcome, then transcribes what it is told.

    The call-backs come on the loop, through the mailbox. A request that fails is answered and the actor lives on.
    """

    use_daemon_thread = True

    def __init__(
        self,
        load: Callable[[], SpeechRecognizer],
        mailbox: Mailbox,
        *,
        on_ready: Callable[[Ready | ModelUnavailable], None],
        on_transcribed: Callable[[Transcribed], None],
        language: str = "en",
    ) -> None:
        super().__init__()
        self._load = load
        self._mailbox = mailbox
        self._on_ready = on_ready
        self._on_transcribed = on_transcribed
        self._language = language
        self._recognizer: SpeechRecognizer | None = None

    def on_start(self) -> None:
        """On the actor's thread: load and warm up. An actor that raised here would leave a dead ref behind."""
        outcome: Ready | ModelUnavailable
        try:
            outcome = self._prepare()
        except ModelUnavailable as error:
            outcome = error
        except Exception as error:
            log.exception("the speech model could not be loaded")
            outcome = ModelUnavailable(f"the speech model could not be loaded: {error!r}")
        self._mailbox.post(self._on_ready, outcome)

    def on_stop(self) -> None:
        """On the actor's thread: give the memory back, all of it here.

        A native object that dies later, on this daemon thread while the interpreter ends, aborts the process.
        """
        if self._recognizer is not None:
            self._recognizer.close()
            self._recognizer = None

    def on_receive(self, message: Transcribing) -> None:
        """On the actor's thread."""
        began = perf_counter()
        result = self._transcribe(message)
        done = Transcribed(message.request, result, (perf_counter() - began) * 1000)
        self._mailbox.post(self._on_transcribed, done)

    def _prepare(self) -> Ready:
        began = perf_counter()
        recognizer = self._recognizer = self._load()
        loaded = perf_counter()
        hiss = np.random.default_rng(0).normal(0.0, 0.01, int(_WARM_UP_S * MIC_RATE)).astype(np.float32)
        took = 0.0
        for _ in range(_RUNS):
            started = perf_counter()
            recognizer.transcribe(hiss, language=self._language, final=True)
            took = perf_counter() - started
        return Ready(
            model=recognizer.model,
            load_ms=(loaded - began) * 1000,
            warm_up_ms=took * 1000,
            warm_up_sound_ms=_WARM_UP_S * 1000,
        )

    def _transcribe(self, message: Transcribing) -> Recognition | str:
        if self._recognizer is None:
            return "the model is not loaded"
        audio: Pcm = np.frombuffer(message.pcm, dtype="<i2").astype(np.float32) / np.float32(32768)
        request = message.request
        try:
            return self._recognizer.transcribe(audio, language=request.language, final=request.final)
        except RecognitionFailed as error:
            return str(error)
        except Exception as error:
            log.exception("transcription failed", session=request.session, samples=len(audio))
            return f"{type(error).__name__}: {error}"
