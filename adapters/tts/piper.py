"""Piper voices (VITS): the decoder runs in windows, so that the first sound does not wait for the sentence's last."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from piper import PiperVoice
from piper.config import PiperConfig

from adapters.tts.faults import load_fault
from adapters.tts.inference import open_session
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.piper_graph import split_graphs
from adapters.tts.piper_words import place_phonemes
from adapters.tts.text import seed_of, speakable
from adapters.tts.words import Spoken
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, WordSpan

_SCHEDULE: Final = (24, 48, 96, 128)
"""Frames of 256 samples per window; the last one repeats."""
_AT_ONCE: Final = 72
"""Frames (0.8 s) of a sentence so short that it is decoded whole: its loudness is then known from the start."""
_MARGIN: Final = 24
"""Frames on either side that a window is decoded with: the whole sentence's sound to 0.0024 %."""
_LONGEST: Final = 400
"""Phonemes that the front end sees at once; a longer sentence is cut between words."""

_Floats = npt.NDArray[np.float32]


class PiperSynthesizer:
    """Speaks sentence by sentence, in windows of 0.3 s to 1.5 s.

    The same text gives the same samples. Word times are the model's own.
    """

    def __init__(
        self, model: ModelId, *, weights: Path, config: Path, cache: Path | None = None, threads: int = 1
    ) -> None:
        try:
            self._config = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
            self._graphs = split_graphs(weights, cache)
            self._front_end = open_session(self._graphs.front_end, threads=threads)
            self._decoder = open_session(self._graphs.decoder, threads=threads)
        except Exception as error:
            reason = f"Piper's voice {weights.name} cannot be loaded: {error or type(error).__name__}"
            raise ModelUnavailable(reason, fault=load_fault(error)) from error
        self._model = model
        self._voice = PiperVoice(session=None, config=self._config)  # it only phonemizes here
        self._alone = lru_cache(maxsize=4096)(self._phonemized_alone)

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """As the voice was trained: 16 or 22.05 kHz."""
        return int(self._config.sample_rate)

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; see `Synthesizer`. `language` is not looked at: a voice speaks its own only."""
        del language
        rng = np.random.default_rng(seed_of(text))
        try:
            sentences = (self._sentence(p, speed, rng) for p in self._sentences(text))
            yield from phrase_chunks(text, sentences, rate=self.sample_rate, place=self._place)
        except Exception as error:
            raise SynthesisFailed(f"Piper: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Give the memory back."""
        del self._front_end, self._decoder
        del self._alone  # its cache knows this object, which would wait for the garbage collector

    def _sentences(self, text: str) -> Iterator[list[str]]:
        spoken = speakable(text).replace("[[", "[ [")  # Piper takes what stands between [[ and ]] for phonemes
        for phonemes in self._voice.phonemize(spoken) if spoken else ():
            known = [p for p in phonemes if p in self._config.phoneme_id_map]
            if any(p.isalpha() for p in known):
                yield from _pieces(known)

    def _sentence(self, phonemes: list[str], speed: float, rng: np.random.Generator) -> Sentence:
        ids = np.array([self._voice.phonemes_to_ids(phonemes)], np.int64)
        feed = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], np.int64),
            "scales": np.array(
                [self._config.noise_scale, self._config.length_scale / speed, self._config.noise_w_scale], np.float32
            ),
            self._graphs.duration_noise: rng.standard_normal((1, 2, ids.shape[1]), np.float32),
        }
        mean, deviation, mask, durations = self._front_end.run(None, feed)
        noise = rng.standard_normal(mean.shape, np.float32)
        latents = mean + noise * deviation * np.float32(self._config.noise_scale)
        spoken = self._spoken(phonemes, durations.reshape(-1))
        return Sentence("".join(phonemes), self._windows(latents, mask), spoken)

    def _windows(self, latents: _Floats, mask: _Floats) -> Iterator[Pcm]:
        latents_name, mask_name = self._graphs.decoder_inputs
        frames, hop = latents.shape[2], self._graphs.hop
        begin = turn = 0
        while begin < frames:
            window = frames if frames <= _AT_ONCE else _SCHEDULE[min(turn, len(_SCHEDULE) - 1)]
            end = min(begin + window, frames)
            low, high = max(0, begin - _MARGIN), min(frames, end + _MARGIN)
            feed = {latents_name: latents[:, :, low:high], mask_name: mask[:, :, low:high]}
            sound = self._decoder.run(None, feed)[0].reshape(-1)
            yield sound[(begin - low) * hop : (end - low) * hop]
            begin, turn = end, turn + 1

    def _spoken(self, phonemes: list[str], durations: _Floats) -> tuple[Spoken, ...]:
        """Each phoneme's time, the pad after it included; the beginning of the sentence stands first in `durations`."""
        ends = np.cumsum(durations).astype(np.int64) * self._graphs.hop
        at, spoken = 1, []
        for phoneme in phonemes:
            count = len(self._config.phoneme_id_map[phoneme]) + 1
            spoken.append(Spoken(phoneme, int(ends[at]), int(ends[at + count])))
            at += count
        return tuple(spoken)

    def _place(self, words: Sequence[str], spoken: Sequence[Spoken]) -> tuple[WordSpan, ...]:
        return place_phonemes(words, spoken, self._alone)

    def _phonemized_alone(self, word: str) -> str:
        return "".join(p for sentence in self._sentences(word) for p in sentence)


def _pieces(phonemes: list[str]) -> Iterator[list[str]]:
    while len(phonemes) > _LONGEST:
        blanks = [i for i, p in enumerate(phonemes[:_LONGEST]) if p == " "]
        cut = blanks[-1] + 1 if blanks else _LONGEST
        yield phonemes[:cut]
        phonemes = phonemes[cut:]
    yield phonemes
