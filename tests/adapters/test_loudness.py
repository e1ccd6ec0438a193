"""Loudness, measured with pyloudnorm on what leaves for the gateway."""

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.audio.framing import as_pcm
from adapters.audio.levelling import Calibration, Leveller
from adapters.audio.limiter import KNEE, limited
from adapters.audio.loudness import PhraseMeter, integrated_lufs, lufs
from adapters.audio.mastering import calibrate
from protocol.errors import SynthesisFailed
from protocol.ports import Pcm, Synthesizer
from tests.adapters.synthesizers import Adapter
from tests.adapters.test_synthesizer_contract import adapter, voice
from tests.fakes.voices import FakeSynthesizer

__all__ = ["adapter", "voice"]
PHRASES = [
    "Hello there, how are you today?",
    "The quick brown fox jumps over the lazy dog near the river.",
    "Yes.",
    "Well, that depends on what you want, because there are many ways to get from here to the station.",
    "I am not sure.",
    "No!",
    "You said: what time is it?",
    "One, two, three, four, five.",
    "Sure thing,",
    "Of course, I can help you with that.",
    "The museum opens at nine in the morning.",
]


def _tone(seconds: float, amplitude: float, rate: int = 48_000) -> Pcm:
    return (amplitude * np.sin(2 * np.pi * 997 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def _voiced(pcm: Pcm, rate: int) -> Pcm:
    """From the first to the last audible 5 ms, repeated to 3 s: LUFS of half a second says little."""
    window = rate // 200
    squares = np.square(pcm[: len(pcm) // window * window]).reshape(-1, window).mean(axis=1)
    loud = np.flatnonzero(squares > squares.max() * 10**-4.5)
    cut = pcm[loud[0] * window : (loud[-1] + 1) * window]
    return np.tile(cut, int(np.ceil(3 * rate / len(cut))))


def _reference(pcm: Pcm, rate: int) -> float:
    return float(pyloudnorm.Meter(rate).integrated_loudness(pcm.astype(np.float64)))


def test_a_full_scale_tone_has_the_loudness_that_the_standard_gives_it() -> None:
    assert integrated_lufs(_tone(3.0, 1.0), 48_000) == pytest.approx(-3.0, abs=0.1)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("colour", [0.0, 0.7, 0.9])
def test_the_loudness_is_pyloudnorms(rate: int, colour: float) -> None:
    """On noise of any colour that swells and fades, with silence in between."""
    noise = np.random.default_rng(3).standard_normal(4 * rate)
    for i in range(1, len(noise)):
        noise[i] += colour * noise[i - 1]
    swell = np.maximum(0.0, np.sin(2 * np.pi * 0.8 * np.arange(len(noise)) / rate))
    sound = (0.1 * noise / noise.std() * swell).astype(np.float32)
    assert integrated_lufs(sound, rate) == pytest.approx(_reference(sound, rate), abs=0.2)


def test_the_loudness_of_speech_is_pyloudnorms(voice: Synthesizer) -> None:
    sound = np.concatenate([chunk.pcm for chunk in voice.synthesize(PHRASES[3], language="en", speed=1.0)])
    rate = voice.sample_rate
    assert integrated_lufs(sound, rate) == pytest.approx(_reference(sound, rate), abs=0.2)


def test_the_meter_follows_a_steady_sound_in_chunks_of_any_size() -> None:
    sound = _tone(2.0, 0.1)
    meter = PhraseMeter(48_000)
    for chunk in np.array_split(sound, 13):
        meter.feed(chunk)
    assert lufs(meter.voiced()[0]) == pytest.approx(integrated_lufs(sound, 48_000), abs=0.1)


def test_silence_is_no_division_by_zero() -> None:
    assert integrated_lufs(np.zeros(1_000, np.float32), 48_000) == -70.0
    meter = PhraseMeter(24_000)
    meter.feed(np.zeros(1_000, np.float32))
    assert meter.voiced() == (0.0, 0.0)


@pytest.mark.parametrize("chunk", [240, 4_800, 48_000])
def test_the_gain_never_steps(chunk: int) -> None:
    leveller = Leveller(24_000, Calibration(-26.0, 10.0))
    quiet_then_loud = np.concatenate([np.full(48_000, 0.02, np.float32), np.full(48_000, 0.2, np.float32)])
    out = np.concatenate([leveller.level(piece) for piece in np.split(quiet_then_loud, len(quiet_then_loud) // chunk)])
    gain_db = 20 * np.log10(out / quiet_then_loud)
    assert np.max(np.abs(np.diff(gain_db))) < 0.1


@given(st.lists(st.floats(-20, 20, width=32), max_size=50))
def test_the_limiter_bounds_everything_and_leaves_the_rest_alone(samples: list[float]) -> None:
    pcm = np.array(samples, np.float32)
    out = limited(pcm)
    assert out.dtype == np.float32
    assert np.all(np.abs(out) < 1.0)
    quiet = np.abs(pcm) <= KNEE
    assert np.array_equal(out[quiet], pcm[quiet])


def test_a_model_without_sound_is_refused_at_calibration() -> None:
    class Mute(FakeSynthesizer):
        def _tone(self, word: str, length: int) -> Pcm:
            return np.zeros(length if word else 0, np.float32)

    with pytest.raises(SynthesisFailed, match="no sound"):
        calibrate(Mute())


@pytest.mark.parametrize("amplify", [0.1, 1.0, 4.0])
def test_models_of_any_level_leave_equally_loud(amplify: float) -> None:
    class Amplified(FakeSynthesizer):
        def _tone(self, word: str, length: int) -> Pcm:
            return super()._tone(word, length) * np.float32(amplify)

    synthesizer = Amplified()
    shaper = calibrate(synthesizer)()
    shaper.begin_phrase()
    frames = [f for c in synthesizer.synthesize(PHRASES[1], language="en", speed=1.0) for f in shaper.shape(c.pcm)]
    assert _reference(_voiced(as_pcm(b"".join(frames)), 48_000), 48_000) == pytest.approx(-16.0, abs=1.5)


def test_phrases_leave_equally_loud_and_nothing_clips(voice: Synthesizer, adapter: Adapter) -> None:
    shaper = calibrate(voice)()
    loudness = {}
    for phrase in PHRASES:
        shaper.begin_phrase()
        frames = [f for c in voice.synthesize(phrase, language="en", speed=1.0) for f in shaper.shape(c.pcm)]
        heard = as_pcm(b"".join(frames))
        assert np.max(np.abs(heard)) < 1.0
        loudness[phrase] = _reference(_voiced(heard, 48_000), 48_000)
    if adapter.heavy:
        pytest.skip("random weights make another noise of each phrase, and nothing says how loud")
    assert {p: round(level, 1) for p, level in loudness.items() if abs(level + 16.0) > 1.5} == {}
