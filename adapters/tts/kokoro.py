"""Kokoro-82M (int8): 24 kHz, Apache-2.0, and slow: a third of real time on a core that it has for itself.

It speaks English from hibari's phonemes, which are the ones that it was trained with.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from hibari.g2p import G2P

from adapters.tts.faults import load_fault
from adapters.tts.hibari_text import Utterance, groups_spoken, utterances
from adapters.tts.inference import open_session
from adapters.tts.kokoro_files import DURATIONS, model_file, styles, vocabulary
from adapters.tts.kokoro_text import pieces
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.text import speakable
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk

_RATE: Final = 24_000
_HOP: Final = 600
"""Samples per unit of duration."""
_Durations = npt.NDArray[np.int64]


class KokoroSynthesizer:
    """Speaks clause by clause: each is one run of the network, which a pause or a stop has to wait for.

    A clause is given out whole. Handing it out in slices would not free the thread sooner, and would let other
    sessions' clauses be computed while this one's slices, long made, wait. The same text gives the same samples, and
    word times are the model's own.
    """

    def __init__(
        self, model: ModelId, *, folder: Path, voice: str, cache: Path | None = None, threads: int = 1
    ) -> None:
        try:
            self._styles = styles(folder, voice)
            self._tokens = vocabulary(folder)
            self._g2p = G2P(british=False)
            _ = self._g2p.oov  # loaded now, not with the first unknown word
            # Kept memory: a fifth faster, and a peak of 0.4 GB instead of 1.7.
            self._session = open_session(model_file(folder, cache), threads=threads)
        except ModelUnavailable:
            raise
        except Exception as error:
            reason = f"Kokoro's voice {voice!r} cannot be loaded: {error or type(error).__name__}"
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
        """Speak one phrase; see `Synthesizer`. `language` is not looked at: this adapter speaks English only."""
        del language
        try:
            clauses = (c for sentence in utterances(self._g2p, speakable(text)) for c in pieces(sentence))
            yield from phrase_chunks(text, (self._clause(clause, speed) for clause in clauses), rate=_RATE)
        except Exception as error:
            raise SynthesisFailed(f"Kokoro: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Give the memory back."""
        del self._session, self._g2p

    def _clause(self, clause: Utterance, speed: float) -> Sentence:
        tokens = [self._tokens[p] for p in clause.phonemes if p in self._tokens]
        sound, durations = self._speak(tokens, speed)
        spoken = groups_spoken(clause, durations, _HOP, self._tokens.__contains__)
        return Sentence(clause.text, iter((sound,)), spoken)

    def _speak(self, tokens: Sequence[int], speed: float) -> tuple[Pcm, _Durations]:
        feed = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self._styles[max(len(tokens), 1) - 1][None],
            "speed": np.array([speed], np.float32),
        }
        sound, durations = self._session.run(["audio", DURATIONS], feed)
        return np.clip(sound.reshape(-1), -1.0, 1.0), durations.reshape(-1).astype(np.int64)
