"""Where this machine's `antiphon up` keeps its things, and where it runs."""

import json
import os
from pathlib import Path
from typing import Final

DEFAULT_NATS_URL: Final = "nats://127.0.0.1:4222"


def default_data_dir() -> Path:
    """As `antiphon up` chooses it."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data_home) if data_home else Path.home() / ".local" / "share") / "antiphon"


def nats_url(given: str | None, data_dir: Path | None) -> str:
    """What was given; else what the running `up` wrote into its data directory; else where everybody looks."""
    if given:
        return given
    try:
        running = json.loads(((data_dir or default_data_dir()) / "run.json").read_text())
        return str(running["nats"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_NATS_URL


def without_credentials(urls: str) -> str:
    """To be shown: user, password and token are left out."""
    return ", ".join(url.rpartition("@")[2] for url in urls.split(","))
