"""XTTS-v2 (coqui-tts): 17 languages, any voice from seconds of it; 24 kHz."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, Final, Self

import torch

from adapters.tts.faults import LONGEST_REASON, load_fault, spoken_by
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.text import seed_of
from adapters.tts.xtts_files import LoadedXtts, XttsFiles, load_xtts
from adapters.tts.xtts_latents import Sampling, latents_of
from adapters.tts.xtts_sound import WindowedVocoder
from adapters.tts.xtts_text import Piece, encoded, language_of
from adapters.tts.xtts_voice import Cloning, XttsVoice, built_in, read_seed
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, Reference, Synthesizer

_SCHEDULE: Final = (6, 6, 8, 12, 16, 20)
"""Latents (of 46 ms each) between two chunks; the last one repeats. Six give the first 80 ms of sound."""
_LATENTS_PER_S: Final = 22_050 / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class XttsOptions:
    """What a pack may say of how it speaks; None: as its config.json says.

    Attributes:
        speaker: one of speakers_xtts.pth, even if the pack has a recording.
        longest_char_ms, longest_extra_ms: how long a piece of text may take, by its length as spelled out, before it is
            cut off: now and then the model finds no end.
    """

    speaker: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    longest_char_ms: int = 200
    longest_extra_ms: int = 3_000

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """From a pack's.

        Raises:
            ModelUnavailable: one has a value that it cannot have.
        """
        for name, value in options.items():
            wanted: Any = {"speaker": (str,), "top_k": (int,)}.get(name, (int, float))
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise ModelUnavailable(f"options: {name}: {' or '.join(kind.__name__ for kind in wanted)} is wanted")
            if name not in {"speaker", "longest_extra_ms"} and value <= 0:
                raise ModelUnavailable(f"options: {name}: more than 0 is wanted")
        return cls(**options)

    def sampling(self, config: Any) -> Sampling:
        """With what config.json says of the rest."""
        names = ("temperature", "top_k", "top_p", "repetition_penalty")
        chosen = {name: getattr(self, name) or getattr(config, name) for name in names}
        return Sampling(**chosen)

    def most_latents(self, characters: int) -> int:
        """For a piece of text."""
        return max(1, round((self.longest_char_ms * characters + self.longest_extra_ms) / 1000.0 * _LATENTS_PER_S))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A model and the voice that it speaks with."""

    loaded: LoadedXtts
    voice: XttsVoice
    cloning: Cloning
    options: XttsOptions


class XttsSynthesizer:
    """Speaks while the language model runs: each chunk costs the same, however long the phrase.

    Phrases of several voices and sessions may alternate from chunk to chunk. The same text gives the same samples. The
    model does not tell where its words are.
    """

    def __init__(self, model: ModelId, opened: _Opened) -> None:
        self._model = model
        self._opened: _Opened | None = opened
        self._rate = int(opened.loaded.config.model_args.output_sample_rate)

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """24 kHz."""
        return self._rate

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; see `Synthesizer`. `speed` stretches what the language model says, as the library does."""
        with spoken_by("XTTS"):
            yield from phrase_chunks(text, self._sentences(text, language, speed), rate=self._rate)

    def imitate(self, reference: Reference) -> Synthesizer:
        """The same model with a recording's voice; see `Cloner`."""
        opened = self._open
        with spoken_by("XTTS"):
            voice = opened.cloning.learn(reference, keep=False)
        return XttsSynthesizer(self._model, replace(opened, voice=voice))

    def close(self) -> None:
        """Give the memory back; an imitation's is the voice only."""
        self._opened = None

    @property
    def _open(self) -> _Opened:
        if self._opened is None:
            raise SynthesisFailed("XTTS: this voice is closed")
        return self._opened

    def _sentences(self, text: str, language: str, speed: float) -> Iterator[Sentence]:
        opened = self._open
        config, tokenizer = opened.loaded.config, opened.loaded.model.tokenizer
        spoken = language_of(language, config.languages)
        pieces = encoded(tokenizer, text, spoken, config.model_args.gpt_max_text_tokens)
        for index, piece in enumerate(pieces):
            yield Sentence(piece.text, _windows(opened, piece, speed=speed, seed=seed_of(text) + index))


def _windows(opened: _Opened, piece: Piece, *, speed: float, seed: int) -> Iterator[Pcm]:
    """A piece's sound, in as many latents at a time as the schedule says."""
    model, voice, options = opened.loaded.model, opened.voice, opened.options
    vocoder = WindowedVocoder(model.hifigan_decoder, voice.speaker, speed=speed)
    sampling, most = options.sampling(opened.loaded.config), options.most_latents(piece.spelled)
    steps = latents_of(model.gpt, piece.tokens, voice.condition, sampling=sampling, seed=seed, most=most)
    with closing(steps):
        for count in chain(_SCHEDULE, repeat(_SCHEDULE[-1])):
            new = list(islice(steps, count))
            last = len(new) < count
            sound = vocoder.feed(new, last=last)
            if sound.size:
                yield sound
            if last:
                return


def open_xtts(
    model: ModelId,
    files: XttsFiles,
    *,
    seed_audio: Path | None,
    options: Mapping[str, Any],
    cache: Path,
    threads: int,
    device: str,
    dtype: str,
) -> XttsSynthesizer:
    """Load a pack's model and its voice: the speaker that its options name, else its recording, else the first speaker.

    Raises:
        ModelUnavailable: with the reason.
    """
    try:
        chosen = XttsOptions.read(options)
        torch.set_num_threads(threads)
        loaded = load_xtts(files, device=device, dtype=dtype)
        cloning = Cloning(loaded, cache)
        if seed_audio is not None and chosen.speaker is None:
            voice = cloning.learn(read_seed(seed_audio), keep=True)
        else:
            voice = built_in(loaded, chosen.speaker)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{model}: {error}", fault=error.fault) from error
    except Exception as error:
        reason = f"{model}: XTTS cannot be loaded: {type(error).__name__}: {error}"[:LONGEST_REASON]
        raise ModelUnavailable(reason, fault=load_fault(error)) from error
    return XttsSynthesizer(model, _Opened(loaded, voice, cloning, chosen))
