"""From any model's sound to ours: about -16 LUFS, 48 kHz, frames of 20 ms."""

from collections.abc import Callable
from typing import Final

import numpy as np

from adapters.audio.framing import Framer, as_pcm
from adapters.audio.levelling import TARGET_LUFS, Calibration, Leveller
from adapters.audio.limiter import limited
from adapters.audio.loudness import PhraseMeter, integrated_lufs, lufs
from adapters.audio.resample import Resampler
from protocol.audio import SPEECH_RATE
from protocol.errors import SynthesisFailed
from protocol.ports import Pcm, SpeechShaper, Synthesizer

_PASSES: Final = 2
"""The limiter takes a little of the loudest phrases, so the gain is corrected by what was reached."""
_TEXTS: Final = (
    "Please hold on for a moment while I look that up for you.",
    "It was a dark night, and the rain fell in torrents.",
)


class MasteredTurn:
    """A `SpeechShaper`: gain at the model's rate, then resampling, then the limiter, so that nothing clips after it."""

    def __init__(self, rate: int, calibration: Calibration) -> None:
        self._leveller = Leveller(rate, calibration)
        self._resampler = Resampler(rate)
        self._framer = Framer()

    def begin_phrase(self) -> None:
        """The next chunk is the first of a phrase."""
        self._leveller.begin_phrase()

    def shape(self, pcm: Pcm) -> list[bytes]:
        """The frames that are complete now."""
        return self._framer.push(limited(self._resampler.feed(self._leveller.level(pcm))))

    def finish(self) -> list[bytes]:
        """The rest of the turn."""
        frames = self._framer.push(limited(self._resampler.finish()))
        return [*frames, self._framer.finish()]


def calibrate(synthesizer: Synthesizer, *, language: str = "en") -> Callable[[], SpeechShaper]:
    """Let the model speak two sentences (which also warms it up) and measure its usual level; see `Calibrate`."""
    return mastered(synthesizer.sample_rate, measured(synthesizer, language=language))


def mastered(rate: int, calibration: Calibration) -> Callable[[], SpeechShaper]:
    """Makes a shaper for each turn of a model that speaks at `rate` Hz."""
    return lambda: MasteredTurn(rate, calibration)


def measured(synthesizer: Synthesizer, *, language: str = "en") -> Calibration:
    """The usual level of a model that speaks two sentences, and what brings it to the target.

    Raises:
        SynthesisFailed: it gives no sound.
    """
    rate = synthesizer.sample_rate
    spoken = [_spoken(synthesizer, text, language) for text in _TEXTS]
    level = float(np.mean([_level(np.concatenate(chunks), rate) for chunks in spoken]))
    calibration = Calibration(level, TARGET_LUFS - level)
    for _ in range(_PASSES):
        reached = float(np.mean([_mastered_lufs(chunks, rate, calibration) for chunks in spoken]))
        calibration = Calibration(level, calibration.gain_db + TARGET_LUFS - reached)
    return calibration


def _spoken(synthesizer: Synthesizer, text: str, language: str) -> list[Pcm]:
    chunks = [chunk.pcm for chunk in synthesizer.synthesize(text, language=language, speed=1.0)]
    if not any(np.any(chunk) for chunk in chunks):
        raise SynthesisFailed(f"{synthesizer.model} gave no sound for a plain sentence")
    return chunks


def _level(sound: Pcm, rate: int) -> float:
    meter = PhraseMeter(rate)
    meter.feed(sound)
    return lufs(meter.voiced()[0])


def _mastered_lufs(chunks: list[Pcm], rate: int, calibration: Calibration) -> float:
    """The loudness that the phrase leaves with: pyloudnorm measures the frames themselves."""
    turn = MasteredTurn(rate, calibration)
    frames = [frame for chunk in chunks for frame in turn.shape(chunk)]
    return integrated_lufs(as_pcm(b"".join([*frames, *turn.finish()])), SPEECH_RATE)
