"""Sound for everybody's tests: real speech (hibari), hums, noise, clicks and silence. Mono float32, full scale at 1.0.

Everything is deterministic and made once per test session.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from protocol.audio import MIC_FRAME, MIC_RATE

if TYPE_CHECKING:
    from hibari import Hibari

    from protocol.ports import Pcm

_AUDIBLE: Final = 0.01
"""Of full scale, about -40 dBFS: where a phrase is taken to begin and end."""
_PEAK: Final = 0.5
_THROAT_FORMANTS: Final = ((700.0, 50.0), (1200.0, 60.0), (2600.0, 100.0))
"""Centre and width in Hz: an open mouth."""
_HUM_FORMANTS: Final = ((280.0, 60.0, 1.0), (1100.0, 150.0, 0.12), (2200.0, 250.0, 0.05))
"""Centre in Hz, width in Hz, gain: a closed mouth passes little above its first resonance."""


@cache
def _voice() -> "Hibari":
    from hibari import Hibari  # noqa: PLC0415  # loading it takes a second that most tests don't need

    return Hibari()


@cache
def spoken(text: str, rate: int = MIC_RATE) -> "Pcm":
    """The text in a real voice, peak 0.5, without the silence around it: sample 0 is the onset."""
    voice = _voice()
    raw = np.asarray(voice(text, seed=7), dtype=np.float32)
    pcm = soxr.resample(raw, voice.sample_rate, rate).astype(np.float32)
    pcm *= _PEAK / float(np.abs(pcm).max())
    audible = np.flatnonzero(np.abs(pcm) > _AUDIBLE)
    cut: Pcm = np.ascontiguousarray(pcm[audible[0] : audible[-1] + 1])
    cut.setflags(write=False)
    return cut


def silence(seconds: float, rate: int = MIC_RATE) -> "Pcm":
    """Digital silence."""
    return np.zeros(round(seconds * rate), dtype=np.float32)


def noise(seconds: float, rate: int = MIC_RATE, *, level: float = 0.05, seed: int = 1) -> "Pcm":
    """White noise with this root mean square."""
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return np.clip(drawn * level, -1.0, 1.0).astype(np.float32)


def room_noise(seconds: float, rate: int = MIC_RATE, *, level: float = 0.005, seed: int = 2) -> "Pcm":
    """Low, dull noise as of a fan: each octave upwards is 6 dB weaker."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * rate)))
    hertz = np.fft.rfftfreq(round(seconds * rate), 1 / rate)
    brown = np.fft.irfft(white / np.maximum(hertz, 40.0), n=round(seconds * rate))
    return np.asarray(brown * level / np.sqrt(np.mean(brown**2)), dtype=np.float32)


def click(rate: int = MIC_RATE, *, level: float = 0.9) -> "Pcm":
    """A knock of 5 ms, as of a cup set down."""
    n = round(0.005 * rate)
    burst = noise(0.005, rate, level=1.0, seed=3) * np.exp(-np.arange(n) / (n / 4))
    return np.asarray(burst * level / np.abs(burst).max(), dtype=np.float32)


def cough(seconds: float = 0.6, rate: int = MIC_RATE, *, seed: int = 3) -> "Pcm":
    """A burst of noise through a throat, without voicing or words.

    Silero takes those of the seeds 1, 3 and 8 for speech, wherever its windows begin; others it does not always.
    """
    from scipy.signal import lfilter  # noqa: PLC0415  # importing it takes a second that most tests don't need

    t = np.arange(round(seconds * rate)) / rate
    out = np.random.default_rng(seed).standard_normal(t.size) * (1 - np.exp(-t / 0.01)) * np.exp(-t / seconds)
    for centre, width in _THROAT_FORMANTS:
        radius = np.exp(-np.pi * width / rate)
        out = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * centre / rate), radius**2], out)
    return np.asarray(out * _PEAK / np.abs(out).max(), dtype=np.float32)


def hum(seconds: float = 0.5, rate: int = MIC_RATE, *, hertz: float = 120.0, glide: float = -0.1) -> "Pcm":
    """A synthetic "mm": a glottal pulse train through the resonances of a closed mouth, with a falling pitch.

    `glide` is the relative change of pitch from beginning to end.
    """
    n = round(seconds * rate)
    t = np.arange(n) / rate
    phase = 2 * np.pi * hertz * (t + glide * t**2 / (2 * max(seconds, 1e-3)))
    out = np.zeros(n)
    for harmonic in range(1, int(4000 / hertz)):
        f = harmonic * hertz
        gain = sum(g / (1 + ((f - centre) / width) ** 2) for centre, width, g in _HUM_FORMANTS) / harmonic**0.5
        out += gain * np.sin(harmonic * phase)
    edge = np.minimum(1.0, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.04 * rate))
    out *= edge / np.abs(out).max()
    return (0.3 * out).astype(np.float32)


def mm_hm(rate: int = MIC_RATE, *, hertz: float = 120.0) -> "Pcm":
    """Two hums with a breath between, the second one higher: agreement without words."""
    return joined(
        hum(0.22, rate, hertz=hertz), noise(0.07, rate, level=0.01), hum(0.3, rate, hertz=hertz * 1.25, glide=0.1)
    )


def joined(*parts: "Pcm") -> "Pcm":
    """One after the other."""
    return np.concatenate(parts).astype(np.float32)


def as_s16(pcm: "Pcm") -> bytes:
    """Mono s16le."""
    return bytes(np.clip(np.rint(pcm * 32767.0), -32768, 32767).astype("<i2").tobytes())


def from_s16(data: bytes) -> "Pcm":
    """Mono s16le back to float."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0


def as_frames(pcm: "Pcm", samples: int = MIC_FRAME) -> list[bytes]:
    """20 ms frames of s16le (640 bytes at 16 kHz); the last one is filled up with silence."""
    filled = np.pad(pcm, (0, -len(pcm) % samples))
    data = as_s16(filled)
    return [data[i : i + 2 * samples] for i in range(0, len(data), 2 * samples)]
