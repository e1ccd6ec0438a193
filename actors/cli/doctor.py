"""`antiphon doctor`: can it run here?"""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

_SIGNS: Final = {"good": ("✓", "green"), "optional": ("·", "yellow"), "broken": ("✗", "bold red")}


def doctor(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="ANTIPHON_DATA_DIR", help="That `antiphon up` will use.", metavar="DIR")
    ] = None,
    port: Annotated[int, typer.Option(help="That `antiphon up` will use.")] = 8700,
) -> None:
    """Look at what is installed, which models are found, ports and rights, and say what to do about what is missing.

    Example: antiphon doctor

    The status is 1 when the core cannot run here; what is only nice to have does not count.
    """
    from rich.console import Console  # noqa: PLC0415  # `antiphon --help` waits for none of this
    from rich.text import Text  # noqa: PLC0415

    from actors.bootstrap.doctor import examine  # noqa: PLC0415
    from actors.cli.whereabouts import default_data_dir  # noqa: PLC0415

    console = Console()
    broken = 0
    for finding in examine(data_dir=data_dir or default_data_dir(), port=port, environ=os.environ):
        sign, style = _SIGNS[finding.verdict]
        broken += finding.verdict == "broken"
        console.print(Text(f"{sign} {finding.what:<19}", style=style) + Text(finding.detail), soft_wrap=True)
        if finding.advice:
            console.print(Text(f"  {'':<19}→ {finding.advice}", style="dim"), soft_wrap=True)
    if broken:
        console.print(Text(f"{broken} thing{'s' * (broken > 1)} to mend before `antiphon up`", style="bold red"))
        raise typer.Exit(1)
    console.print(Text("ready for `antiphon up`", style="green"))
