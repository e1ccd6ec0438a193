"""Sound files in memory."""

import io

import numpy as np
import soundfile


def sound_file(  # each test changes one of these
    *,
    seconds: float = 2.0,
    rate: int = 24_000,
    channels: int = 1,
    kind: str = "WAV",
    subtype: str | None = None,
    level: float = 0.3,
) -> bytes:
    """A tone."""
    tone = level * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 220 / rate)
    file = io.BytesIO()
    soundfile.write(file, np.tile(tone[:, None], (1, channels)).astype(np.float32), rate, format=kind, subtype=subtype)
    return file.getvalue()
