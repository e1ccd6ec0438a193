"""A soft limiter: what is loud is bent, nothing clips."""

from typing import Final

import numpy as np

from protocol.ports import Pcm

KNEE: Final = 0.7
"""Below it (-3 dBFS) samples pass unchanged."""
_ROOM: Final = 0.995 - KNEE


def limited(pcm: Pcm) -> Pcm:
    """`pcm` within ±0.995, unchanged up to the knee.

    It looks at each sample alone, so that chunk edges leave no trace and the same sound gives the same samples.
    """
    size = np.abs(pcm)
    if not pcm.size or float(size.max()) <= KNEE:
        return pcm
    bent: Pcm = np.where(size > KNEE, np.sign(pcm) * (KNEE + _ROOM * np.tanh((size - KNEE) / _ROOM)), pcm)
    return bent.astype(np.float32)
