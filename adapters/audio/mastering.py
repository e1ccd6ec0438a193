"""From any model's sound to ours: about -16 LUFS, 48 kHz, frames of 20 ms."""

from collections.abc import Callable
from typing import Final

import numpy as np

from adapters.audio.framing import Framer
from adapters.audio.levelling import Calibration, Leveller
from adapters.audio.limiter import limited
from adapters.audio.loudness import PhraseMeter, integrated_lufs, lufs
from adapters.audio.resample import Resampler
from protocol.errors import SynthesisFailed
from protocol.ports import Pcm, SpeechShaper, Synthesizer

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
    rate = synthesizer.sample_rate
    measured = [_measure(_spoken(synthesizer, text, language), rate) for text in _TEXTS]
    level = float(np.mean([level for level, _ in measured]))
    calibration = Calibration(level, float(np.mean([whole - level for level, whole in measured])))
    return lambda: MasteredTurn(rate, calibration)


def _spoken(synthesizer: Synthesizer, text: str, language: str) -> Pcm:
    chunks = [chunk.pcm for chunk in synthesizer.synthesize(text, language=language, speed=1.0)]
    sound = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    if not np.any(sound):
        raise SynthesisFailed(f"{synthesizer.model} gave no sound for a plain sentence")
    return sound


def _measure(sound: Pcm, rate: int) -> tuple[float, float]:
    """Its level as the meter sees it, and its integrated loudness."""
    meter = PhraseMeter(rate)
    meter.feed(sound)
    return lufs(meter.voiced()[0]), integrated_lufs(sound, rate)
