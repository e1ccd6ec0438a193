import numpy as np
import pytest

from actors.policies.fades import FADE_SAMPLES, fade_in, fade_out, fade_out_from_level
from protocol.audio import SPEECH_FRAME

LOUD = np.full(SPEECH_FRAME, 20_000, np.int16).tobytes()


@pytest.mark.parametrize("fade", [fade_out, fade_out_from_level])
def test_a_fade_out_falls_without_a_step(fade: object) -> None:
    assert callable(fade)
    samples = np.frombuffer(fade(LOUD), np.int16).astype(int)
    steps = np.diff(samples)
    assert len(samples) == SPEECH_FRAME
    assert (steps <= 0).all()
    assert -steps.min() < 20_000 * 2 / FADE_SAMPLES
    assert not samples[FADE_SAMPLES:].any()


def test_a_fade_in_is_silence_that_rises_at_its_end() -> None:
    samples = np.frombuffer(fade_in(LOUD), np.int16).astype(int)
    steps = np.diff(samples)
    assert len(samples) == SPEECH_FRAME
    assert not samples[:-FADE_SAMPLES].any()
    assert (steps >= 0).all()
    assert steps.max() < 20_000 * 2 / FADE_SAMPLES
    assert samples[-1] > 19_990
