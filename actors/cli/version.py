"""`antiphon version`."""

from importlib import metadata

import typer


def version() -> None:
    """Say which Antiphon this is.

    Example: antiphon version
    """
    typer.echo(f"antiphon {metadata.version('antiphon')}")
