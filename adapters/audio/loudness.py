"""Loudness after ITU-R BS.1770, of a whole sound and of a phrase while it is made.

K-weighting is applied to the power spectrum of blocks of 20 ms: the mean square of a filtered block is the sum of its
spectrum's power times the filter's power response (Parseval), so that no filter has to be run and none has a state.
The tests hold it to pyloudnorm within 0.2 LU; importing that (with scipy.signal) would cost a worker a second of start.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from protocol.ports import Pcm

SILENCE_LUFS: Final = -70.0
_OFFSET: Final = -0.691
"""BS.1770: loudness = -0.691 + 10 log10(mean square of the K-weighted signal)."""
_BLOCK_S: Final = 0.02
_GATE_BLOCKS: Final = 20
_GATE_STEP: Final = 5
"""The standard's gating blocks of 400 ms, one every 100 ms."""
_GATE_LU: Final = 10.0
_PAUSE_DB: Final = 15.0
"""A block that lies so far below the loudest one of its phrase is a pause."""

_Floats = npt.NDArray[np.float64]


def integrated_lufs(pcm: Pcm, rate: int) -> float:
    """The gated loudness of a whole sound; one of less than 0.4 s is repeated, silence is `SILENCE_LUFS`."""
    squares = _block_squares(pcm, rate)
    if not squares.size:
        return SILENCE_LUFS
    squares = np.tile(squares, int(np.ceil(_GATE_BLOCKS / squares.size)))
    gates = np.lib.stride_tricks.sliding_window_view(squares, _GATE_BLOCKS)[::_GATE_STEP].mean(axis=1)
    loud = gates[gates > power(SILENCE_LUFS)]
    if not loud.size:
        return SILENCE_LUFS
    above = loud[loud > loud.mean() * 10.0 ** (-_GATE_LU / 10.0)]
    return lufs(float(above.mean()))


class PhraseMeter:
    """Follows the energy of the voiced part of a phrase while it is made.

    Pauses are told by the blocks' distance from the loudest so far. The result differs from the standard's gating by a
    nearly constant offset for one voice, which calibration takes out.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._block = int(rate * _BLOCK_S)
        self.reset()

    def reset(self) -> None:
        """A new phrase."""
        self._squares: _Floats = np.zeros(0)
        self._rest: Pcm = np.zeros(0, np.float32)

    def feed(self, pcm: Pcm) -> None:
        """The next samples of the phrase."""
        signal = np.concatenate((self._rest, pcm))
        whole = len(signal) // self._block * self._block
        self._squares = np.concatenate((self._squares, _block_squares(signal[:whole], self._rate)))
        self._rest = signal[whole:]

    def voiced(self, *, memory_s: float = float("inf")) -> tuple[float, float]:
        """Mean square of the voiced blocks so far, and their length in seconds.

        With a `memory_s`, a block counts 1/e for each such time that has passed since it.
        """
        if not self._squares.size or float(self._squares.max()) <= 0.0:
            return 0.0, 0.0
        age_s = _BLOCK_S * np.arange(self._squares.size)[::-1]
        is_voiced = self._squares > self._squares.max() * 10.0 ** (-_PAUSE_DB / 10.0)
        weights = np.exp(-age_s / memory_s) * is_voiced
        return float(np.average(self._squares, weights=weights)), float(weights.sum()) * _BLOCK_S


def lufs(mean_square: float) -> float:
    """As BS.1770 has it."""
    return _OFFSET + 10.0 * float(np.log10(max(mean_square, 1e-12)))


def power(loudness: float) -> float:
    """The mean square that has this loudness."""
    return float(10.0 ** ((loudness - _OFFSET) / 10.0))


def _block_squares(pcm: Pcm, rate: int) -> _Floats:
    """The K-weighted mean square of each whole block."""
    block = int(rate * _BLOCK_S)
    blocks = len(pcm) // block
    spectrum = np.fft.rfft(pcm[: blocks * block].reshape(blocks, block), axis=1)
    squares: _Floats = (np.square(np.abs(spectrum)) * _weights(rate, block)).sum(axis=1)
    return squares


@lru_cache(maxsize=8)
def _weights(rate: int, block: int) -> _Floats:
    """The power response of both filters at the spectrum's frequencies, and Parseval's scale."""
    z = np.exp(-2j * np.pi * np.arange(block // 2 + 1) / block)
    response = np.ones(len(z), np.complex128)
    for b, a in (_high_shelf(rate, gain_db=4.0, q=2**-0.5, cutoff=1500.0), _high_pass(rate, q=0.5, cutoff=38.0)):
        response *= np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
    sides = np.full(len(z), 2.0)
    sides[0] = 1.0
    if block % 2 == 0:
        sides[-1] = 1.0
    scaled: _Floats = np.square(np.abs(response)) * sides / block**2
    return scaled


_Biquad = tuple[list[float], list[float]]


def _high_shelf(rate: int, *, gain_db: float, q: float, cutoff: float) -> _Biquad:
    """The first filter of BS.1770, a head's effect; coefficients from R. Bristow-Johnson's cookbook."""
    gain, (cos, alpha) = 10.0 ** (gain_db / 40.0), _angle(rate, q, cutoff)
    root = 2.0 * gain**0.5 * alpha
    up, down = gain + 1.0, gain - 1.0
    b = [gain * (up + down * cos + root), -2.0 * gain * (down + up * cos), gain * (up + down * cos - root)]
    return b, [up - down * cos + root, 2.0 * (down - up * cos), up - down * cos - root]


def _high_pass(rate: int, *, q: float, cutoff: float) -> _Biquad:
    """The second filter of BS.1770; same source."""
    cos, alpha = _angle(rate, q, cutoff)
    return [(1.0 + cos) / 2.0, -(1.0 + cos), (1.0 + cos) / 2.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha]


def _angle(rate: int, q: float, cutoff: float) -> tuple[float, float]:
    angle = 2.0 * np.pi * cutoff / rate
    return float(np.cos(angle)), float(np.sin(angle) / (2.0 * q))
