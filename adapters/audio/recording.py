"""An uploaded sound file, made into a recording to imitate."""

import io
from typing import Final

import numpy as np
import soundfile
import soxr

from protocol.errors import Refused
from protocol.ports import Reference

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 30.0
LOWEST_RATE: Final = 16_000
MOST_CHANNELS: Final = 2
FORMATS: Final = ("WAV", "WAVEX", "FLAC", "OGG")
LONGEST_TEXT: Final = 1_000
_HIGHEST_RATE: Final = 48_000
"""More is brought down to it: no voice has more to tell."""
_SILENT: Final = 10.0 ** (-50.0 / 20.0)


def decode(data: bytes, text: str) -> Reference:
    """The recording in mono, at its own rate but at most 48 kHz. On a thread: it takes up to a tenth of a second.

    Raises:
        Refused: `bad-reference`, with what is wrong and what is wanted.
    """
    text = " ".join(text.split())
    if not 0 < len(text) <= LONGEST_TEXT:
        raise _bad(f"The text says what is said in the recording, in 1 to {LONGEST_TEXT} characters.")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check(file)
            sound = file.read(int(LONGEST_S * file.samplerate) + 1, dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise _bad("This is no sound file that can be read; send WAV, FLAC or Ogg.") from error
    mono = sound.mean(axis=1)
    if not np.isfinite(mono).all() or np.abs(mono).max(initial=0.0) < _SILENT:
        raise _bad("The recording is silent.")
    if not SHORTEST_S <= len(mono) / rate <= LONGEST_S:
        raise _bad(_length(len(mono) / rate))
    if rate > _HIGHEST_RATE:
        mono, rate = soxr.resample(mono, rate, _HIGHEST_RATE), _HIGHEST_RATE
    return Reference(pcm=np.ascontiguousarray(mono, np.float32), sample_rate=rate, text=text)


def _check(file: soundfile.SoundFile) -> None:
    """By the header, before anything is read."""
    if file.format not in FORMATS:
        raise _bad(f"The recording is {file.format}; send WAV, FLAC or Ogg.")
    if not file.samplerate >= LOWEST_RATE:
        raise _bad(f"The recording is sampled at {file.samplerate} Hz; {LOWEST_RATE} Hz or more are wanted.")
    if file.channels > MOST_CHANNELS:
        raise _bad(f"The recording has {file.channels} channels; one or two are wanted.")
    if not SHORTEST_S <= file.frames / file.samplerate <= LONGEST_S:
        raise _bad(_length(file.frames / file.samplerate))


def _length(seconds: float) -> str:
    return f"The recording is {seconds:.1f} s long; {SHORTEST_S:.0f} to {LONGEST_S:.0f} s are wanted."


def _bad(reason: str) -> Refused:
    return Refused("bad-reference", reason)
