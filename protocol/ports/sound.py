"""Sound between a model and whoever hands it on."""

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.float32]
"""Mono samples, full scale at 1.0."""
