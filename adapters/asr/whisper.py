"""Whisper by faster-whisper (CTranslate2), with an encoder that hears no more than there is.

Whisper was trained on windows of 30 s and costs as much for one second. A shorter window costs the encoder a tenth,
but too short a one makes the model repeat itself instead of ending. What keeps the words right (measured, see
docs/hearing.md): silence as samples and not as zeros in the spectrogram, timestamps (the model then says where the
speech ends), `_ROOM_S` of silence behind the clip and `_SHORTEST_S` in all; and when it repeats itself all the same,
the full window.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

import numpy as np
import structlog
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

from adapters.asr import models
from adapters.asr.repetition import is_repetitive
from protocol.errors import ModelUnavailable, RecognitionFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, Recognition, RecognizedWord

log = structlog.get_logger()

_RATE: Final = 16_000
_MEL_PER_S: Final = 100
_FULL_S: Final = 30
_SHORTEST_S: Final = 8
_ROOM_S: Final = 3
_TIMESTAMP_S: Final = 0.02
_LATEST_FIRST_TIMESTAMP: Final = 50
"""Whisper's own default: speech begins within the first second."""
_MAX_TOKENS: Final = 448
_TOKENS_PER_S: Final = 10
_SPARE_TOKENS: Final = 16
_FEWEST_FRAMES: Final = 100
"""The alignment of a text to less than this, a second, may come out empty; the encoder heard that much silence."""
_NO_SPEECH: Final = 0.6
_NO_SPEECH_LOGPROB: Final = -0.5
"""Both must hold for a text to be taken for a hallucination; its figures are reported all the same."""


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    window_s: int
    encoded: Any


class WhisperRecognizer:
    """A loaded Whisper model. Its methods are for one thread, which computes."""

    def __init__(
        self,
        name: str = models.DEFAULT,
        *,
        device: str = "cpu",
        compute_type: str = "default",
        threads: int = 2,
        beam: int = 1,
        words: bool = False,
    ) -> None:
        """Load a model by name or path.

        Args:
            name: see `adapters.asr.models.find`.
            device: `cpu`, `cuda` or `auto`.
            compute_type: CTranslate2's; `default` takes int8 on a CPU and what the model was saved with elsewhere.
            threads: for one transcription on a CPU.
            beam: of a final transcript; a partial one is greedy.
            words: whether final transcripts carry each word's time (some 20 ms more on a CPU).

        Raises:
            ModelUnavailable: the message says what to install or change.
        """
        files = models.find(name)
        if compute_type == "default" and device == "cpu":
            compute_type = "int8"
        try:
            self._whisper = WhisperModel(
                files.source, device=device, compute_type=compute_type, cpu_threads=threads, num_workers=1
            )
        except Exception as error:  # the hub, the file system, CTranslate2 and CUDA raise what they like
            raise ModelUnavailable(_advice(files, device, error)) from error
        self._model = files.model
        self._beam = beam
        self._words = words
        self._tokenizers: dict[str, Tokenizer] = {}

    @property
    def model(self) -> ModelId:
        """Its name, e.g. `whisper-tiny-en`."""
        return self._model

    def transcribe(self, audio: Pcm, *, language: str, final: bool) -> Recognition:
        """The words in `audio` (16 kHz, at most 30 s).

        Text that the model itself takes for no speech is left out; the log-probability and the no-speech probability
        are those of what it said.

        Raises:
            RecognitionFailed: too much audio, a language that Whisper does not know, or the model's reason.
        """
        if len(audio) > _FULL_S * _RATE:
            raise RecognitionFailed(f"{len(audio) / _RATE:.1f} s are more than Whisper hears at once ({_FULL_S} s)")
        if not len(audio):
            return Recognition(text="", avg_logprob=0.0, no_speech_prob=1.0)
        tokenizer = self._tokenizer(language)
        try:
            heard = self._listen(audio, tokenizer, final=final)
            spoken = not _is_hallucinated(heard)
            words = self._place(heard, tokenizer, len(audio)) if spoken and final and self._words else ()
        except (RuntimeError, ValueError) as error:
            raise RecognitionFailed(f"{self._model}: {error}") from error
        return Recognition(
            text=heard.text if spoken else "",
            avg_logprob=heard.avg_logprob,
            no_speech_prob=heard.no_speech_prob,
            words=words,
        )

    def close(self) -> None:
        """Give the memory back; nothing can be transcribed after this."""
        self._whisper.model.unload_model()
        del self._whisper

    def _tokenizer(self, language: str) -> Tokenizer:
        multilingual = self._whisper.model.is_multilingual
        code = language.split("-", maxsplit=1)[0] if multilingual else "en"
        if code not in self._tokenizers:
            if code not in _LANGUAGE_CODES:
                raise RecognitionFailed(f"Whisper does not know the language {language!r}")
            self._tokenizers[code] = Tokenizer(
                self._whisper.hf_tokenizer, multilingual, task="transcribe", language=code
            )
        return self._tokenizers[code]

    def _listen(self, audio: Pcm, tokenizer: Tokenizer, *, final: bool) -> _Heard:
        window_s = min(_FULL_S, max(_SHORTEST_S, ceil(len(audio) / _RATE + _ROOM_S)))
        heard = self._decode(audio, window_s, tokenizer, self._beam if final else 1)
        if window_s < _FULL_S and is_repetitive(heard.text):
            log.debug("a short window made Whisper repeat itself", window_s=window_s)
            heard = self._decode(audio, _FULL_S, tokenizer, self._beam if final else 1)
        return heard

    def _decode(self, audio: Pcm, window_s: int, tokenizer: Tokenizer, beam: int) -> _Heard:
        padded = np.pad(audio, (0, window_s * _RATE - len(audio)))
        mel = self._whisper.feature_extractor(padded, padding=0)[:, : window_s * _MEL_PER_S]
        encoded = self._whisper.encode(mel)
        prompt = self._whisper.get_prompt(tokenizer, [], without_timestamps=False)
        seconds = len(audio) / _RATE
        limit = min(_MAX_TOKENS, len(prompt) + ceil(seconds * _TOKENS_PER_S) + _SPARE_TOKENS)
        result = self._whisper.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=limit,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=_LATEST_FIRST_TIMESTAMP,
        )[0]
        ids: list[int] = result.sequences_ids[0]
        tokens = _spoken(ids, tokenizer.timestamp_begin, seconds)
        return _Heard(
            text=tokenizer.decode(tokens).strip(),
            tokens=tokens,
            # CTranslate2 divides by the length; Whisper counts the end of the text among its tokens.
            avg_logprob=result.scores[0] * len(ids) / (len(ids) + 1),
            no_speech_prob=result.no_speech_prob,
            window_s=window_s,
            encoded=encoded,
        )

    def _place(self, heard: _Heard, tokenizer: Tokenizer, samples: int) -> tuple[RecognizedWord, ...]:
        frames = max(_FEWEST_FRAMES, ceil(samples / _RATE * _MEL_PER_S))
        found = self._whisper.find_alignment(tokenizer, [heard.tokens], heard.encoded, frames)
        words: list[RecognizedWord] = []
        for aligned in found[0] if found else ():
            text = str(aligned["word"]).strip()
            if words and not any(character.isalnum() for character in text):
                words[-1] = replace(words[-1], text=words[-1].text + text)  # a full stop takes no time of its own
                continue
            times = {edge: min(samples / _RATE, float(aligned[edge])) for edge in ("start", "end")}
            probability = float(aligned["probability"])
            words.append(RecognizedWord(text=text, start_s=times["start"], end_s=times["end"], probability=probability))
        return tuple(words)


def _spoken(ids: list[int], timestamp_begin: int, seconds: float) -> list[int]:
    """The text's tokens, up to the first timestamp at which the audio has ended."""
    tokens: list[int] = []
    for place, token in enumerate(ids):
        if token < timestamp_begin:
            tokens.append(token)
        elif place and (token - timestamp_begin) * _TIMESTAMP_S >= seconds:
            break
    return tokens


def _is_hallucinated(heard: _Heard) -> bool:
    if not any(character.isalnum() for character in heard.text):
        return True
    return heard.no_speech_prob > _NO_SPEECH and heard.avg_logprob < _NO_SPEECH_LOGPROB


def _advice(files: models.WhisperFiles, device: str, error: Exception) -> str:
    if not files.local:
        return (
            f"{files.source} is not on this machine and could not be fetched from the model hub ({error}): connect, "
            f"or name a folder with a CTranslate2 model, or use {models.DEFAULT} of the extra whisper-tiny"
        )
    where = f" on {device}" if device != "cpu" else ""
    return f"CTranslate2 cannot load {files.source}{where}: {error}"
