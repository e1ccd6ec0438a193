"""CosyVoice's own code: it has no package of its own, so it is found where a checkout lies, or in `cosyvoice2-eu`."""

import logging
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from protocol.errors import ModelUnavailable

VARIABLE: Final = "ANTIPHON_COSYVOICE_REPO"
_HOW: Final = (
    "check https://github.com/FunAudioLLM/CosyVoice out (git clone --recursive) and name the folder in "
    f"{VARIABLE} or in the pack's option repo, or install cosyvoice2-eu without its dependencies "
    "(in a checkout of antiphon: uv sync --extra cosyvoice --group cosyvoice)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosyVoiceCode:
    """What of it is used.

    Attributes:
        frontend: module `cosyvoice.cli.frontend`: text and recordings to numbers.
        fade_in_out: joins two chunks of sound.
        load_yaml: builds the networks that a `cosyvoice2.yaml` describes.
    """

    frontend: Any
    fade_in_out: Any
    load_yaml: Any


def find_code(repo: str | None = None) -> CosyVoiceCode:
    """Import it; takes seconds.

    `repo` is a checkout (by default what ANTIPHON_COSYVOICE_REPO names, else what is installed).

    `cosyvoice.cli.cosyvoice` is left alone: it imports modelscope, a hub's client that nothing needs where weights are
    files, and it decides by itself which device to use.

    Raises:
        ModelUnavailable: it is not there (the message says how to get it), or a package that it needs is not.
    """
    _make_importable(repo or os.environ.get(VARIABLE) or None)
    try:
        with quietly():
            _stand_in_for_normalizers()
            return CosyVoiceCode(
                frontend=import_module("cosyvoice.cli.frontend"),
                fade_in_out=import_module("cosyvoice.utils.common").fade_in_out,
                load_yaml=import_module("hyperpyyaml").load_hyperpyyaml,
            )
    except ImportError as error:
        install = "install antiphon[cosyvoice] (in a checkout: uv sync --extra cosyvoice)"
        raise ModelUnavailable(f"CosyVoice's code cannot be imported ({error}): {install}", fault="missing") from error


def _make_importable(repo: str | None) -> None:
    if repo is None:
        if find_spec("cosyvoice") is None:
            raise ModelUnavailable(f"CosyVoice's code is not here: {_HOW}", fault="missing")
        return
    folder = Path(repo)
    if not (folder / "cosyvoice" / "cli" / "frontend.py").is_file():
        raise ModelUnavailable(f"no checkout of CosyVoice lies in {folder}: {_HOW}", fault="missing")
    homes = [folder, folder / "third_party" / "Matcha-TTS"]
    if not any((home / "matcha" / "utils" / "audio.py").is_file() for home in homes):
        missing = "its submodule third_party/Matcha-TTS is missing: git submodule update --init --recursive"
        raise ModelUnavailable(f"{folder}: {missing}", fault="missing")
    for home in homes:
        if home.is_dir() and str(home) not in sys.path:
            sys.path.append(str(home))  # last: a checkout has folders with ordinary names (`tools`, `examples`)


@contextmanager
def quietly() -> Iterator[None]:
    """CosyVoice's modules set the root logger to DEBUG and give it a handler, which makes every library talk.

    They also print, which must not get between the lines that a program writes to its standard output.
    """
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _stand_in_for_normalizers() -> None:
    """`cosyvoice2-eu` wants WeTextProcessing's `tn`, which has to be compiled; wetext speaks the same without that.

    Upstream itself has gone over to wetext.
    """
    if "tn" in sys.modules or find_spec("tn") is not None:
        return
    sys.modules["tn"] = types.ModuleType("tn")
    for folder, language in (("chinese", "zh"), ("english", "en")):
        module: Any = types.ModuleType(f"tn.{folder}.normalizer")
        module.Normalizer = partial(_normalizer, language)
        sys.modules[f"tn.{folder}"] = types.ModuleType(f"tn.{folder}")
        sys.modules[f"tn.{folder}.normalizer"] = module


def _normalizer(language: str, **_how: Any) -> Any:
    """Writes numbers and signs out. `_how` tells `tn` what wetext does anyway, and where to keep what it compiles."""
    return import_module("wetext").Normalizer(lang=language, remove_erhua=False)
