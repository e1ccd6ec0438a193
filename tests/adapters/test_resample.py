import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.audio.resample import Resampler, at_speech_rate
from protocol.ports import Pcm


def _noise(samples: int) -> Pcm:
    return (0.2 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=12))
def test_chunks_of_any_size_give_what_the_whole_gives(rate: int, sizes: list[int]) -> None:
    whole = _noise(sum(sizes))
    stream = Resampler(rate)
    pieces = [stream.feed(chunk) for chunk in np.split(whole, np.cumsum(sizes)[:-1])]
    streamed = np.concatenate([*pieces, stream.finish()])
    at_once = soxr.resample(whole, rate, 48_000, quality="HQ")
    assert len(streamed) == len(at_once)
    assert np.allclose(streamed, at_once, atol=1e-6)


def test_a_tone_stays_a_tone_across_chunk_edges() -> None:
    rate = 22_050
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    stream = Resampler(rate)
    out = np.concatenate([*(stream.feed(chunk) for chunk in np.array_split(tone, 37)), stream.finish()])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(out)) / 48_000)
    inner = slice(500, -500)
    assert np.max(np.abs(out[inner] - expected[inner])) < 1e-3


def test_nothing_fed_is_nothing_given() -> None:
    assert Resampler(24_000).finish().size == 0


def test_positions_at_speech_rate() -> None:
    assert at_speech_rate(24_000, 24_000) == 48_000
    assert at_speech_rate(22_050, 22_050) == 48_000
    assert at_speech_rate(0, 22_050) == 0
