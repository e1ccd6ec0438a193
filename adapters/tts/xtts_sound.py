"""From XTTS's latents to sound, a window at a time: each window costs the same, and together they are the whole."""

import math
from typing import Any, Final

import numpy as np
import torch

from adapters.tts.ranges import phase
from protocol.ports import Pcm

_MARGIN: Final = 16
"""Frames on either side that a window is decoded with. The vocoder's convolutions reach 14 frames far: 3 before the
first upsampling, 7.5 in the blocks after it (kernel 11, dilations 1, 3 and 5, at 8 times the rate), 1 each in the
upsampling and in the blocks after that, less than 1 in all that follows."""
_Tensor = Any
"""torch has no types where it is not installed."""


class Stretch:
    """Linear interpolation along time, of a sequence that is not complete yet.

    It gives out what later input cannot change: the same as `torch.nn.functional.interpolate(scale_factor=factor)`
    makes of the whole sequence.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._step = np.float32(1.0 / factor)  # torch computes positions in single precision
        self._kept: _Tensor = None
        self._dropped = self._made = 0

    def feed(self, new: _Tensor | None, *, last: bool) -> _Tensor | None:
        """Frames [channels, n] that are certain now; None when there are none."""
        if new is not None:
            self._kept = new if self._kept is None else torch.cat((self._kept, new), dim=1)
        if self._kept is None:
            return None
        count = self._dropped + int(self._kept.shape[1])
        whole = math.floor(count * self._factor)
        places = np.arange(self._made, whole + math.ceil(self._factor), dtype=np.float32)
        source = np.maximum(self._step * (places + np.float32(0.5)) - np.float32(0.5), np.float32(0.0))
        low = source.astype(np.int64)
        certain = whole - self._made if last else int(np.count_nonzero(low < count - 1))
        if certain <= 0:
            return None
        return self._interpolated(low[:certain], source[:certain], count)

    def _interpolated(self, low: Any, source: Any, count: int) -> _Tensor:
        kept, device = self._kept, self._kept.device
        weight = torch.from_numpy(source - low.astype(np.float32)).to(device)
        left = torch.from_numpy(np.minimum(low, count - 1) - self._dropped).to(device)
        right = torch.from_numpy(np.minimum(low + 1, count - 1) - self._dropped).to(device)
        made = kept[:, left] * (1.0 - weight) + kept[:, right] * weight
        self._made += len(low)
        unneeded = max(0, int(low[-1]) - self._dropped)
        self._kept, self._dropped = kept[:, unneeded:], self._dropped + unneeded
        return made


class WindowedVocoder:
    """One piece's way from latents to sound; holds a margin's worth of frames."""

    def __init__(self, decoder: Any, speaker: _Tensor, *, speed: float) -> None:
        factors = (
            1.0 / max(speed, 0.05),
            decoder.ar_mel_length_compression / decoder.output_hop_length,
            decoder.output_sample_rate / decoder.input_sample_rate,
        )
        self._stretches = [Stretch(factor) for factor in factors if factor != 1.0]
        self._decoder = decoder
        self._speaker = speaker
        self._hop = int(decoder.output_hop_length)
        self._frames: _Tensor = None
        self._first = self._done = 0

    def feed(self, latents: list[_Tensor], *, last: bool) -> Pcm:
        """What can be heard now that these latents [1, channels] have come; may be nothing."""
        with torch.inference_mode(), phase("xtts.vocoder"):
            self._take(latents, last=last)
            if self._frames is None:
                return np.zeros(0, np.float32)
            count = self._first + int(self._frames.shape[1])
            end = count if last else count - _MARGIN
            if end <= self._done:
                return np.zeros(0, np.float32)
            wave = self._decoder.waveform_decoder(self._frames[None], g=self._speaker).reshape(-1)
            sound = wave[(self._done - self._first) * self._hop : (end - self._first) * self._hop]
            self._forget_before(end - _MARGIN)
            self._done = end
            pcm: Pcm = sound.float().cpu().numpy()
            return np.clip(pcm, -1.0, 1.0)

    def _take(self, latents: list[_Tensor], *, last: bool) -> None:
        new = torch.cat(latents).float().T if latents else None
        for stretch in self._stretches:
            new = stretch.feed(new, last=last)
        if new is not None:
            self._frames = new if self._frames is None else torch.cat((self._frames, new), dim=1)

    def _forget_before(self, frame: int) -> None:
        unneeded = max(0, frame - self._first)
        self._frames, self._first = self._frames[:, unneeded:], self._first + unneeded
