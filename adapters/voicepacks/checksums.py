"""What a file's bytes are recognised by, and the note of it that is kept beside a pulled file."""

import hashlib
import re
from pathlib import Path
from typing import Final

_BLOCK: Final = 2**20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def sha256_of(path: Path) -> str:
    """In hexadecimal digits. Reads the whole file."""
    return _digest(path, hashlib.sha256())


def git_blob_of(path: Path) -> str:
    """What git, and so a hub, calls a small file: SHA-1 of its length and its bytes."""
    header = f"blob {path.stat().st_size}\0".encode()
    return _digest(path, hashlib.sha1(header, usedforsecurity=False))


def _digest(path: Path, digest: "hashlib._Hash") -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def note(path: Path, sha256: str) -> None:
    """Write down what was found when the file came, as `sha256sum --check` reads it."""
    _beside(path).write_text(f"{sha256}  {path.name}\n", encoding="utf-8")


def noted(path: Path) -> str | None:
    """What was written down, if anything was."""
    try:
        found = _SHA256.match(_beside(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found.group() if found else None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
