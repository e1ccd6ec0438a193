"""Brings each phrase to the same loudness while it is still being made."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from adapters.audio.loudness import PhraseMeter, lufs, power
from protocol.ports import Pcm

TARGET_LUFS: Final = -16.0
_PRIOR_S: Final = 0.06
"""How many seconds of voice the model's usual level counts for, against what was heard of the phrase."""
_MEMORY_S: Final = 0.5
"""How soon a phrase's loud or soft beginning is forgotten."""
_MOST_DB: Final = 8.0
"""A phrase is moved from the model's usual gain by this much at most."""
_RAMP_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class Calibration:
    """A model's usual level, as `PhraseMeter` sees it, and the gain that then brings pyloudnorm to the target."""

    level_lufs: float
    gain_db: float


class Leveller:
    """One turn's gain. A chunk is measured before it is given out, so the first one of a phrase is close already."""

    def __init__(self, rate: int, calibration: Calibration) -> None:
        self._meter = PhraseMeter(rate)
        self._calibration = calibration
        self._ramp = int(rate * _RAMP_S)
        self._gain: float | None = None
        self._usual = power(calibration.level_lufs)

    def begin_phrase(self) -> None:
        """The phrase before does not count any more."""
        self._meter.reset()

    def level(self, pcm: Pcm) -> Pcm:
        """The chunk, louder or softer; the gain moves within 30 ms, so that a step is not heard."""
        self._meter.feed(pcm)
        wanted = self._wanted()
        before = wanted if self._gain is None else self._gain
        self._gain = wanted
        gains = np.full(len(pcm), wanted, np.float32)
        ramp = min(self._ramp, len(pcm))
        gains[:ramp] = np.linspace(before, wanted, ramp, endpoint=False, dtype=np.float32)
        return pcm * gains

    def _wanted(self) -> float:
        heard, seconds = self._meter.voiced(memory_s=_MEMORY_S)
        guess = (heard * seconds + self._usual * _PRIOR_S) / (seconds + _PRIOR_S)
        away = lufs(guess) - lufs(self._usual)
        return float(10.0 ** ((self._calibration.gain_db - min(max(away, -_MOST_DB), _MOST_DB)) / 20.0))
