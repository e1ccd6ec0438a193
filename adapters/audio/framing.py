"""Float samples to 20 ms frames of s16le."""

import numpy as np

from protocol.audio import SPEECH_FRAME
from protocol.ports import Pcm

_BYTES = 2 * SPEECH_FRAME
_FULL_SCALE = 32767.0


class Framer:
    """One turn's frames, exact by sample position.

    The last complete frame is held back until a further sample comes, because it may be the turn's last one.
    """

    def __init__(self) -> None:
        self._held = b""

    def push(self, pcm: Pcm) -> list[bytes]:
        """The frames that are complete and not the last. `pcm` must stay within full scale."""
        data = self._held + np.rint(pcm * _FULL_SCALE).astype("<i2").tobytes()
        whole = max(0, (len(data) - 1) // _BYTES)
        self._held = data[whole * _BYTES :]
        return [data[i * _BYTES : (i + 1) * _BYTES] for i in range(whole)]

    def finish(self) -> bytes:
        """The last frame, filled up with silence; all silence when nothing was pushed."""
        last, self._held = self._held.ljust(_BYTES, b"\0"), b""
        return last


def as_pcm(frames: bytes) -> Pcm:
    """Frames as floats again."""
    return np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
