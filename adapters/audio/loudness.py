"""Loudness after ITU-R BS.1770: measured whole with pyloudnorm, followed chunk by chunk with the same K-weighting."""

import warnings
from typing import Final

import numpy as np
import pyloudnorm
from scipy.signal import lfilter

from protocol.ports import Pcm

SILENCE_LUFS: Final = -70.0
_OFFSET: Final = -0.691
"""BS.1770: loudness = -0.691 + 10 log10(mean square of the K-weighted signal)."""
_BLOCK_S: Final = 0.02
_MIN_S: Final = 0.45
"""pyloudnorm needs one block of 400 ms; a shorter sound is repeated."""


def integrated_lufs(pcm: Pcm, rate: int) -> float:
    """The loudness of a whole sound; `SILENCE_LUFS` for silence."""
    if not pcm.size or not np.any(pcm):
        return SILENCE_LUFS
    repeats = int(np.ceil(_MIN_S * rate / pcm.size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyloudnorm warns of division by zero in blocks of silence
        loudness = float(pyloudnorm.Meter(rate).integrated_loudness(np.tile(pcm.astype(np.float64), repeats)))
    return max(loudness, SILENCE_LUFS)


class PhraseMeter:
    """Follows the energy of the voiced part of a phrase while it is made.

    Blocks of 20 ms that lie 15 dB or more below the loudest so far count as pauses. The result differs from the
    standard's gating by a nearly constant offset for one voice, which calibration takes out.
    """

    def __init__(self, rate: int) -> None:
        stages = pyloudnorm.Meter(rate)._filters.values()  # noqa: SLF001  # the reference's own K-weighting
        self._stages = [(stage.b, stage.a) for stage in stages]
        self._block = int(rate * _BLOCK_S)
        self.reset()

    def reset(self) -> None:
        """A new phrase."""
        self._memory = [np.zeros(max(len(a), len(b)) - 1) for b, a in self._stages]
        self._blocks = np.zeros(0)
        self._rest = np.zeros(0)

    def feed(self, pcm: Pcm) -> None:
        """The next samples of the phrase."""
        signal = pcm.astype(np.float64)
        for i, (b, a) in enumerate(self._stages):
            signal, self._memory[i] = lfilter(b, a, signal, zi=self._memory[i])
        signal = np.concatenate((self._rest, signal))
        blocks = len(signal) // self._block
        squares = np.square(signal[: blocks * self._block]).reshape(blocks, self._block)
        self._rest = signal[blocks * self._block :]
        self._blocks = np.concatenate((self._blocks, squares.mean(axis=1) if blocks else np.zeros(0)))

    def voiced(self, *, memory_s: float = float("inf")) -> tuple[float, float]:
        """Mean square of the voiced blocks so far, and their length in seconds.

        With a `memory_s`, a block counts 1/e for each such time that has passed since it.
        """
        if not self._blocks.size or float(self._blocks.max()) <= 0.0:
            return 0.0, 0.0
        age_s = _BLOCK_S * np.arange(self._blocks.size)[::-1]
        weights = np.exp(-age_s / memory_s) * (self._blocks > self._blocks.max() * 10**-1.5)
        return float(np.average(self._blocks, weights=weights)), float(weights.sum()) * _BLOCK_S


def lufs(mean_square: float) -> float:
    """As BS.1770 has it."""
    return _OFFSET + 10.0 * float(np.log10(max(mean_square, 1e-12)))


def power(loudness: float) -> float:
    """The mean square that has this loudness."""
    return float(10.0 ** ((loudness - _OFFSET) / 10.0))
