"""hibari's signal processing in windows, so that the first sound comes early and a pause cuts in between.

The formula is hibari.dsp's; the sum of the windows is the sound that `hibari.dsp.synth` makes at once, but for the
order in which its noise is drawn.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from hibari import dsp

from adapters.tts.hibari_net import Floats, Spectrum

_SCHEDULE: Final = (48, 64, 96)
"""Frames of 12.5 ms per window; the last one repeats."""
_OVERLAP: Final = dsp.N_FFT // dsp.HOP
_LEAD: Final = dsp.N_FFT // 2 // dsp.HOP
"""Blocks before the first frame's centre, which are not part of the sound."""
_Complex = npt.NDArray[np.complex64]


def windows(spectrum: Spectrum, rng: np.random.Generator) -> Iterator[Floats]:
    """The sound of a sentence, 24 kHz, `F` hops of 300 samples in all."""
    frames = spectrum.pitch.shape[0]
    excitation = np.pad(dsp.pulses(spectrum.pitch), dsp.N_FFT // 2, mode="reflect")
    slices = np.lib.stride_tricks.sliding_window_view(excitation, dsp.N_FFT)[:: dsp.HOP]
    norm = _normalised(frames)
    carry = np.zeros((_OVERLAP - 1, dsp.HOP), np.float32)
    begin = turn = 0
    while begin < frames:
        end = min(begin + _SCHEDULE[min(turn, len(_SCHEDULE) - 1)], frames)
        source = np.ascontiguousarray(dsp.rfft(slices[begin:end] * dsp.WIN_SRC, 1).T)
        sound = _overlapped(_shaped(source, [part[:, begin:end] for part in spectrum.parts], rng), carry)
        last = end == frames
        done = sound if last else sound[: end - begin]
        carry = sound[end - begin :]
        done = done * norm[begin : begin + len(done)]
        skip = max(0, _LEAD - begin)
        keep = min(len(done), frames + _LEAD - begin)
        yield done[skip:keep].reshape(-1)
        begin, turn = end, turn + 1


def _shaped(source: _Complex, parts: list[Floats], rng: np.random.Generator) -> _Complex:
    """The spectrum of some frames: harmonics, noise and the free-phase part."""
    harmonic, theta, noise, free, phase = parts
    turn = np.tanh(theta) * np.float32(np.pi)
    rotation = np.empty(turn.shape, np.complex64)
    rotation.real, rotation.imag = np.cos(turn), np.sin(turn)
    rotation *= dsp.ex(harmonic)
    source *= rotation
    random = rng.standard_normal((turn.shape[0], 2 * turn.shape[1]), dtype=np.float32).view(np.complex64)
    source += random * dsp.ex(noise)
    rotation.real, rotation.imag = np.cos(phase), np.sin(phase)
    rotation *= dsp.ex(free)
    source += rotation
    return source


def _overlapped(spectrum: _Complex, carry: Floats) -> Floats:
    """Inverse STFT of some frames, added to what the frames before them left: blocks of one hop."""
    count = spectrum.shape[1]
    frames = (dsp.irfft(spectrum.T, dsp.N_FFT, 1) * dsp.WIN).reshape(count, _OVERLAP, dsp.HOP)
    blocks = np.zeros((count + _OVERLAP - 1, dsp.HOP), np.float32)
    blocks[: _OVERLAP - 1] += carry
    for k in range(_OVERLAP):
        blocks[k : k + count] += frames[:, k]
    return blocks


def _normalised(frames: int) -> Floats:
    """1 over the summed squared windows at each sample of each block: constant but for both ends."""
    squared = np.square(dsp.WIN).reshape(_OVERLAP, dsp.HOP)
    sums = np.zeros((frames + _OVERLAP - 1, dsp.HOP), np.float32)
    for k in range(_OVERLAP):
        sums[k : k + frames] += squared[k]
    scale: Floats = np.reciprocal(np.maximum(sums, np.float32(1e-11)))
    return scale
