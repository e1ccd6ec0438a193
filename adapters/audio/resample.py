"""Streaming resampling to the speech rate, without a seam between chunks."""

import numpy as np
import soxr

from protocol.audio import SPEECH_RATE
from protocol.ids import Samples
from protocol.ports import Pcm


class Resampler:
    """One turn's soxr stream: what it gives, concatenated, equals resampling the whole turn at once.

    It holds back about 30 ms until more comes or the turn is finished.
    """

    def __init__(self, rate: int) -> None:
        self._stream = soxr.ResampleStream(rate, SPEECH_RATE, 1, dtype="float32", quality="HQ")

    def feed(self, pcm: Pcm) -> Pcm:
        """The next samples at 48 kHz; often fewer than `pcm` is long, sometimes none."""
        resampled: Pcm = self._stream.resample_chunk(pcm)
        return resampled

    def finish(self) -> Pcm:
        """What was held back; nothing may be fed afterwards."""
        rest: Pcm = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest


def at_speech_rate(position: int, rate: int) -> Samples:
    """Where a sample of a model's stream stands at 48 kHz."""
    return Samples(position * SPEECH_RATE // rate)
