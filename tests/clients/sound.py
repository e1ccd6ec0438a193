"""What counts as sound: the definitions that tests and benches measure by."""

from typing import Final

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]

AUDIBLE_DBFS: Final = -50.0
"""A 5 ms window above this is audible (docs/performance.md)."""
_WINDOW_S: Final = 0.005


def as_samples(pcm: bytes) -> Pcm16:
    """Mono s16le, as numbers."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)


def audible_windows(samples: Pcm16, rate: int) -> npt.NDArray[np.intp]:
    """The first samples of all 5 ms windows that are audible."""
    size = int(rate * _WINDOW_S)
    whole = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size) / 32768
    level = 10 * np.log10(np.mean(whole**2, axis=1) + 1e-12)
    return np.flatnonzero(level > AUDIBLE_DBFS) * size


def is_audible(samples: Pcm16, rate: int) -> bool:
    """Whether any 5 ms of it can be heard."""
    return bool(len(audible_windows(samples, rate)))


def first_audible(samples: Pcm16, rate: int) -> int | None:
    """The first sample of the first audible window."""
    windows = audible_windows(samples, rate)
    return int(windows[0]) if len(windows) else None


def end_of_sound(samples: Pcm16, rate: int) -> int | None:
    """The first sample after the last audible window."""
    windows = audible_windows(samples, rate)
    return int(windows[-1]) + int(rate * _WINDOW_S) if len(windows) else None
