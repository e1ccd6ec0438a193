"""hibari's network, asked for the durations that it computes inside, too."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from hibari.tts import ASSETS

from adapters.tts.graph_output import one_more_output
from adapters.tts.inference import open_session

Floats = npt.NDArray[np.float32]
Durations = npt.NDArray[np.int64]
DURATION_HOP: Final = 600
"""Samples per unit of duration: two frames of 12.5 ms."""
_DURATIONS: Final = "/Clip_output_0"
"""The rounded, clipped durations within the graph of 0.2.x."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The network's answer: five spectral parts `[601, F]` and the pitch `[F]` (see hibari.dsp), and durations."""

    parts: tuple[Floats, ...]
    pitch: Floats
    durations: Durations | None
    """Of each phoneme, the two pads among them, in units of `DURATION_HOP`; None when this model does not tell."""


class HibariNet:
    """Loaded once, used by all phrases."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        plain = model.read_bytes()
        try:
            self._session = open_session(plain + one_more_output(_DURATIONS), threads=threads, keeps_memory=False)
            self._tells = True
        except Exception:  # noqa: BLE001  # onnxruntime's errors have no common class; another export is no failure
            self._session = open_session(plain, threads=threads, keeps_memory=False)
            self._tells = False
        self._ids: dict[str, int] = json.loads((Path(ASSETS) / "vocab.json").read_text(encoding="utf-8"))

    def knows(self, phoneme: str) -> bool:
        """Whether it is in the vocabulary; others are passed over."""
        return phoneme in self._ids

    def speak(self, phonemes: Sequence[str], speed: float) -> Spectrum:
        """Run on phonemes that are all known; a pad is put at either end."""
        ids = [0, *(self._ids[p] for p in phonemes), 0]
        outputs = self._session.run(None, {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)})
        durations = outputs[6].reshape(-1).astype(np.int64) if self._tells else None
        return Spectrum(tuple(part[0] for part in outputs[:5]), outputs[5][0], durations)
