"""By what a pack is known to be the same as before, without reading its weights."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapters.voicepacks.metadata import VoicePack
from adapters.voicepacks.sources import PackageSource


def fingerprint(pack: VoicePack, *more: str) -> str:
    """Another one when its metadata says something else, or a file of it has another place, length or time.

    `more` is whatever else what is kept depends on.

    Raises:
        ModelUnavailable: the package that carries its weights is missing.
    """
    digest = hashlib.sha256(pack.model_dump_json().encode())
    for line in (*more, *of_files(_files(pack))):
        digest.update(f"\0{line}".encode())
    return digest.hexdigest()[:16]


def of_files(files: Iterable[Path]) -> Iterator[str]:
    """A line for each one that is there."""
    for file in files:
        if file.is_file():
            stat = file.stat()
            yield f"{file} {stat.st_size} {stat.st_mtime_ns}"


def _files(pack: VoicePack) -> Iterator[Path]:
    if isinstance(pack.source, PackageSource):
        for folder in pack.source.folders():
            yield from sorted(path for path in folder.rglob("*") if path.suffix != ".pyc")
    else:
        yield from (file.path for file in pack.files())
    if pack.reference is not None:
        yield pack.home / pack.reference.audio
