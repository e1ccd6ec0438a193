"""What all commands that call a gateway understand."""

from typing import Annotated

import typer

Url = Annotated[str, typer.Option(envvar="ANTIPHON_URL", help="Of the gateway.", metavar="URL")]
Key = Annotated[str, typer.Option(envvar="ANTIPHON_KEY", help="The gateway's API key.", show_default=False)]
Voice = Annotated[str | None, typer.Option(help="Whose voice answers, e.g. piper-joe; the gateway's default if none.")]
Speed = Annotated[float | None, typer.Option(min=0.5, max=2.0, help="Of speech; 1 is the voice's own.")]
Language = Annotated[str | None, typer.Option(help="Of both sides, e.g. en.")]

DEFAULT_URL = "http://127.0.0.1:8700"
