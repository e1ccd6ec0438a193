"""How a part says that it serves."""

import sys
from typing import Final

READY: Final = "ready: "
"""Begins the line on standard output for which the supervisor waits."""


def say_ready(part: str, detail: str = "") -> None:
    """Tell whoever started us: `ready: gateway http://127.0.0.1:8700/`."""
    sys.stdout.write(f"{READY}{part} {detail}".rstrip() + "\n")
    sys.stdout.flush()
