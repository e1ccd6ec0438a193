"""Where packs and pulled weights are when nobody says otherwise."""

import os
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
BUILT_IN: Final = (_HERE.parent.parent / "voicepacks", _HERE.parent / "voicepacks_data")
"""Of this project: in a checkout, and in an installed distribution."""


def default_user_folder() -> Path:
    """The user's own packs."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "antiphon" / "voicepacks"


def default_cache() -> Path:
    """What was pulled, and what was made of it: all of it can be had again."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "antiphon"


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback)
