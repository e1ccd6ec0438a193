"""`antiphon bench`: measure, in a checkout."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import typer

CONTEXT_SETTINGS: Final[dict[str, Any]] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""Everything after the command's name, `--help` too, is for the benches themselves."""
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


def bench(context: typer.Context) -> None:
    """Measure latencies, jitter and cost against a running system or one started for it (needs a checkout).

    Example: antiphon bench fal voice --runs 30
    """
    if not (_CHECKOUT / "tests" / "bench" / "__main__.py").exists():
        typer.echo(
            "The benches are not installed with the package: run `uv run antiphon bench` in a checkout of Antiphon.",
            err=True,
        )
        raise typer.Exit(2)
    command = [sys.executable, "-m", "tests.bench", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=_CHECKOUT, check=False).returncode)  # noqa: S603  # our own module
