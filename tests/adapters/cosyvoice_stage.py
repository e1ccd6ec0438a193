"""A tiny CosyVoice 2 as a test wants it, and its language model's steps."""

import math
import weakref
from pathlib import Path
from typing import Any

from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import find_packs
from tests.checkpoints.cosyvoice import write_pack


def opened(weights: Path, folder: Path, *, dtype: str = "auto", seed: bool = True, **options: Any) -> Any:
    """The model as a pack in `folder` says, whose files are links: a test may put its own in their place."""
    home = folder / "cosyvoice2" / "tiny"
    home.mkdir(parents=True, exist_ok=True)
    for path in weights.iterdir():
        if path.name not in ("ref", "metadata.yaml") and not (home / path.name).exists():
            (home / path.name).symlink_to(path)
    write_pack(home, seed=seed, **options)
    (pack,) = find_packs(folder).good
    return load_synthesizer(pack, cache=folder / "cache", dtype=dtype)


class Steps:
    """Of the language model; `fed` counts the places of its sequence that it was given."""

    def __init__(self, step: Any) -> None:
        self._step = step
        self.count = self.fed = 0
        self.fails_at = math.inf
        self.caches: list[weakref.ref[Any]] = []

    def __call__(self, xs: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        self.fed += xs.shape[1]
        if self.count >= self.fails_at:
            raise RuntimeError("no more memory")
        result = self._step(xs, *args, **kwargs)
        self.caches.append(weakref.ref(result[1]))
        return result
