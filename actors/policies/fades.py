"""5 ms raised-cosine fades, so that a cut in the middle of a word does not click. 48 kHz mono s16le in and out."""

from typing import Final

import numpy as np

from protocol.audio import SPEECH_FRAME, SPEECH_RATE

FADE_SAMPLES: Final = SPEECH_RATE * 5 // 1000
_RISING: Final = (0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE_SAMPLES) + 0.5) / FADE_SAMPLES)).astype(np.float32)
_FALLING: Final = np.ascontiguousarray(_RISING[::-1])


def fade_out(pcm: bytes) -> bytes:
    """One frame: the first 5 ms of `pcm` fall to nothing, silence follows."""
    frame = np.zeros(SPEECH_FRAME, np.int16)
    frame[:FADE_SAMPLES] = np.frombuffer(pcm, np.int16, FADE_SAMPLES) * _FALLING
    return frame.tobytes()


def fade_out_from_level(pcm: bytes) -> bytes:
    """One frame: the last sample of `pcm` falls to nothing; for when what follows it is not known."""
    frame = np.zeros(SPEECH_FRAME, np.int16)
    frame[:FADE_SAMPLES] = np.frombuffer(pcm, np.int16)[-1] * _FALLING
    return frame.tobytes()


def fade_in(pcm: bytes) -> bytes:
    """One frame: silence, at whose end the last 5 ms of `pcm` rise, so that what follows `pcm` joins smoothly."""
    frame = np.zeros(SPEECH_FRAME, np.int16)
    frame[-FADE_SAMPLES:] = np.frombuffer(pcm, np.int16)[-FADE_SAMPLES:] * _RISING
    return frame.tobytes()
