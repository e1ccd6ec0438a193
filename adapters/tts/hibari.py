"""The voice hibari: 24 kHz, Apache-2.0, a hundred times faster than speech on one core."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from hibari.g2p import G2P
from hibari.voices import VOICES, voice_path

from adapters.tts.faults import load_fault
from adapters.tts.hibari_net import DURATION_HOP, HibariNet
from adapters.tts.hibari_sound import windows
from adapters.tts.hibari_text import Utterance, groups_spoken, utterances
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.text import seed_of, speakable
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import PcmChunk

_RATE: Final = 24_000


class HibariSynthesizer:
    """Speaks sentence by sentence: the network sees a sentence whole, the sound is made in windows of about 0.6 s.

    The same text gives the same samples. Word times are the model's own.
    """

    def __init__(self, model: ModelId, *, voice: str = "heart", threads: int = 1) -> None:
        try:
            self._g2p = G2P(british=VOICES[voice]["british"])
            self._net = HibariNet(Path(voice_path(voice, download_missing=False)), threads=threads)
            _ = self._g2p.oov  # loaded now, not with the first unknown word
        except Exception as error:
            reason = f"hibari's voice {voice!r} cannot be loaded: {error or type(error).__name__}"
            raise ModelUnavailable(reason, fault=load_fault(error)) from error
        self._model = model

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """24 kHz."""
        return _RATE

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; see `Synthesizer`. `language` is not looked at: the model speaks English only."""
        del language
        rng = np.random.default_rng(seed_of(text))
        try:
            spoken = utterances(self._g2p, speakable(text))
            yield from phrase_chunks(text, (self._sentence(u, speed, rng) for u in spoken), rate=_RATE)
        except Exception as error:
            raise SynthesisFailed(f"hibari: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Give the memory back."""
        del self._net, self._g2p

    def _sentence(self, utterance: Utterance, speed: float, rng: np.random.Generator) -> Sentence:
        phonemes = [p for p in utterance.phonemes if self._net.knows(p)]
        spectrum = self._net.speak(phonemes, speed)
        times = spectrum.durations
        spoken = () if times is None else groups_spoken(utterance, times, DURATION_HOP, self._net.knows)
        return Sentence(utterance.text, windows(spectrum, rng), spoken)
