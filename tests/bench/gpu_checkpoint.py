"""A family's checkpoint with random weights, as a voice pack in a folder: what the bench on a GPU loads.

Random weights do not know when to stop: CSM and XTTS are cut off by their packs' own bound, CosyVoice's language model
ends soon after the shortest length that its library allows, two tokens (80 ms) for each letter.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final

from adapters.voicepacks import VoicePack, find_packs
from protocol.ids import ModelId
from tests.checkpoints.sizes import Size

FAMILIES: Final = ("csm", "xtts", "cosyvoice2")
NEEDS: Final = {"csm": "transformers", "xtts": "TTS", "cosyvoice2": "hyperpyyaml"}
"""The library without which there is nothing to measure."""
EXTRAS: Final = {
    "csm": "uv sync --extra csm",
    "xtts": "uv sync --extra xtts",
    "cosyvoice2": "uv sync --extra cosyvoice --group cosyvoice",
}
_BUILDERS: Final = {
    "csm": ("tests.checkpoints.csm", "build_csm"),
    "xtts": ("tests.checkpoints.xtts", "build_xtts"),
    "cosyvoice2": ("tests.checkpoints.cosyvoice", "build_cosyvoice"),
}
_MODEL: Final = ModelId("random")
_S_PER_LETTER: Final = 0.08


def build(family: str, root: Path, *, size: Size) -> None:
    """Write the weights into a folder of packs; at real size this takes a minute and gigabytes."""
    module, function = _BUILDERS[family]
    getattr(importlib.import_module(module), function)(_home(family, root), size=size)


def pack_of(family: str, root: Path, *, seconds: float, compiled: bool) -> VoicePack:
    """The pack of what was built: phrases of `seconds` (CosyVoice's: see `text_of`), compiled or not."""
    bound: dict[str, Any] = {"longest_char_ms": 1, "longest_extra_ms": round(seconds * 1000)}
    options = {} if family == "cosyvoice2" else bound
    if compiled:
        options["compile"] = True
    importlib.import_module(_BUILDERS[family][0]).write_pack(_home(family, root), model=_MODEL, **options)
    pack = find_packs(root, cache=root / "cache").get(_MODEL)
    assert pack is not None
    return pack


def text_of(family: str, sentence: str, seconds: float) -> str:
    """What to say in that time: the whole sentence, but for CosyVoice, whose length goes by the text's."""
    return sentence if family != "cosyvoice2" else sentence[: max(1, round(seconds / _S_PER_LETTER))]


def is_installed(library: str) -> bool:
    """Without importing it."""
    return importlib.util.find_spec(library) is not None


def _home(family: str, root: Path) -> Path:
    return root / family / "random"
