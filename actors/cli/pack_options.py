"""What all commands that look for voice packs understand."""

from pathlib import Path
from typing import Annotated

import typer

VoicepacksDir = Annotated[
    Path | None,
    typer.Option("--voicepacks-dir", help="Of your own voice packs.", metavar="DIR", show_default=False),
]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Of pulled weights and what is made of them.", metavar="DIR", show_default=False),
]
