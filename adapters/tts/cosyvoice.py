"""CosyVoice 2: Chinese, English, Japanese and Korean, in the voice of a recording; 24 kHz."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from adapters.tts.cosyvoice_code import find_code
from adapters.tts.cosyvoice_files import LoadedCosyVoice, load_cosyvoice
from adapters.tts.cosyvoice_pieces import written_out
from adapters.tts.cosyvoice_speech import Chance, Sounding, speech_tokens
from adapters.tts.cosyvoice_stream import CosyVoiceStream
from adapters.tts.cosyvoice_voice import CosyVoiceOptions, CosyVoiceVoice, learn_voice, read_seed, sayable
from adapters.tts.faults import LONGEST_REASON, load_fault, spoken_by
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.text import seed_of
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, Reference, SpokenStream, Synthesizer


@dataclass(frozen=True, slots=True)
class _Opened:
    """A model and the voice that it speaks with."""

    loaded: LoadedCosyVoice
    voice: CosyVoiceVoice
    options: CosyVoiceOptions


class CosyVoiceSynthesizer:
    """Speaks while the language model runs, on the caller's thread alone.

    Phrases of several voices and sessions may alternate from chunk to chunk. The same text gives the same samples. The
    model does not tell where its words are.
    """

    def __init__(self, model: ModelId, opened: _Opened) -> None:
        self._model = model
        self._opened: _Opened | None = opened
        self._rate = opened.loaded.rate

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """24 kHz."""
        return self._rate

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; see `Synthesizer`. `language` is not looked at: the model hears it in the text."""
        del language
        with spoken_by("CosyVoice"):
            yield from phrase_chunks(text, self._sentences(text, speed), rate=self._rate)

    def imitate(self, reference: Reference) -> Synthesizer:
        """The same model with a recording's voice; see `Cloner`."""
        opened = self._open
        with spoken_by("CosyVoice"):
            voice = learn_voice(opened.loaded, reference, opened.options)
        return type(self)(self._model, replace(opened, voice=voice))

    def close(self) -> None:
        """Give the memory back; an imitation's is the voice only."""
        self._opened = None

    @property
    def _open(self) -> _Opened:
        if self._opened is None:
            raise SynthesisFailed("CosyVoice: this voice is closed")
        return self._opened

    def _sentences(self, text: str, speed: float) -> Iterator[Sentence]:
        opened = self._open
        said = sayable(text)
        if not said:
            return
        for index, piece in enumerate(written_out(opened.loaded.frontend, said)):
            yield Sentence(piece, _windows(opened, piece, speed=speed, seed=seed_of(text) + index))


class StreamingCosyVoice(CosyVoiceSynthesizer):
    """Begins a sentence before it knows the rest of it, too; see `TextStreamer`."""

    def stream(self, *, language: str, speed: float) -> SpokenStream:
        """Text to come. `language` is not looked at, as above."""
        del language
        return CosyVoiceStream(lambda: (self._open.loaded, self._open.voice), rate=self._rate, speed=speed)


def _windows(opened: _Opened, piece: str, *, speed: float, seed: int) -> Iterator[Pcm]:
    chance = Chance(seed, opened.loaded.device)
    with closing(speech_tokens(opened.loaded, opened.voice, piece, chance)) as tokens:  # type: ignore[type-var]  # a generator
        yield from Sounding(opened.loaded, opened.voice, chance, speed=speed).windows(tokens)


def open_cosyvoice(
    model: ModelId,
    folder: Path,
    *,
    seed_audio: Path,
    seed_text: str,
    options: Mapping[str, Any],
    threads: int,
    device: str,
    dtype: str,
) -> CosyVoiceSynthesizer:
    """Load a pack's model, and learn the voice of the pack's recording.

    Raises:
        ModelUnavailable: with the reason.
    """
    try:
        chosen = CosyVoiceOptions.read(options)
        torch.set_num_threads(threads)
        loaded = load_cosyvoice(find_code(chosen.repo), folder, device=device, dtype=dtype)
        voice = learn_voice(loaded, read_seed(seed_audio, seed_text), chosen)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{model}: {error}", fault=error.fault) from error
    except Exception as error:
        reason = f"{model}: CosyVoice cannot be loaded: {type(error).__name__}: {error}"[:LONGEST_REASON]
        raise ModelUnavailable(reason, fault=load_fault(error)) from error
    kind = StreamingCosyVoice if chosen.text_in == "stream" else CosyVoiceSynthesizer
    return kind(model, _Opened(loaded, voice, chosen))
