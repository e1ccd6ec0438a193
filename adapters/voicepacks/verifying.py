"""Reads all files of a pack and compares them with the checksums that are known."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Final, Literal

from adapters.voicepacks.checksums import noted, sha256_of
from adapters.voicepacks.metadata import VoicePack
from adapters.voicepacks.sources import Located, PackageSource
from protocol.errors import ModelUnavailable

Verdict = Literal["right", "wrong", "missing", "unknown"]
_FOUND_RIGHT: Final[set[tuple[str, int, int, str | None]]] = set()


@dataclass(frozen=True, slots=True)
class Verified:
    """One file. `unknown`: it is here, but nobody has said what its checksum should be."""

    file: str
    verdict: Verdict
    detail: str = ""


def verify(pack: VoicePack) -> Iterator[Verified]:
    """Each of its files, one after the other; takes as long as reading them."""
    if isinstance(pack.source, PackageSource):
        yield from _verify_package(pack.source)
        return
    for file in pack.files():
        yield _verify(file, file.sha256 or noted(file.path))


def check_weights(pack: VoicePack) -> None:
    """Before its files are loaded: each that has not changed since is read once only in this process.

    What a package brings is not read: its installer has done that.

    Raises:
        ModelUnavailable: a file is not the one that the metadata, or the note of its download, promises.
    """
    if isinstance(pack.source, PackageSource):
        return
    for file in pack.files():
        stat = file.path.stat()
        seen = (str(file.path), stat.st_size, stat.st_mtime_ns, file.sha256)
        if seen in _FOUND_RIGHT:
            continue
        found = _verify(file, file.sha256 or noted(file.path))
        if found.verdict == "wrong":
            raise ModelUnavailable(f"{pack.model_id}: {file.name}: its {found.detail}", fault="checksum")
        _FOUND_RIGHT.add(seen)


def _verify(file: Located, expected: str | None) -> Verified:
    if not file.path.is_file():
        return Verified(file.name, "missing")
    if expected is None:
        return Verified(file.name, "unknown", "no checksum is known")
    found = sha256_of(file.path)
    return (
        Verified(file.name, "right")
        if found == expected
        else Verified(file.name, "wrong", f"SHA-256 is {found} instead of {expected}")
    )


def _verify_package(source: PackageSource) -> Iterator[Verified]:
    """What each distribution's own record says of the data files of these packages."""
    owners = packages_distributions()
    for package in (source.package, *source.also):
        names = owners.get(package, [])
        if not names:
            yield Verified(package, "missing", f"install {source.distribution}")
        for name in dict.fromkeys(names):
            yield from _verify_distribution(name, package)


def _verify_distribution(name: str, package: str) -> Iterator[Verified]:
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:
        return
    for file in files:
        if file.parts[0] != package or file.suffix in (".py", ".pyc"):
            continue
        recorded = file.hash.value if file.hash is not None and file.hash.mode == "sha256" else None
        yield _verify(Located(str(file), Path(str(file.locate()))), recorded and _hexadecimal(recorded))


def _hexadecimal(recorded: str) -> str:
    return base64.urlsafe_b64decode(recorded + "=" * (-len(recorded) % 4)).hex()
