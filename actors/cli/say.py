"""`antiphon say`: have a text spoken."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.gateway_options import DEFAULT_URL, Key, Language, Speed, Url, Voice

_INTERRUPTED = 130


def say(
    text: Annotated[
        str, typer.Argument(help="What to say; from standard input if it is - or left out.", show_default=False)
    ] = "-",
    *,
    out: Annotated[Path | None, typer.Option("--out", help="A WAV file, not the loudspeaker.", metavar="FILE")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    voice: Voice = None,
    language: Language = None,
    speed: Speed = None,
) -> None:
    """Speak a text with a voice of the running system.

    Example: antiphon say "The boats are back." --out boats.wav

    Example: fortune | antiphon say --voice piper-joe

    Standard input is spoken phrase by phrase, as it comes.
    """
    from actors.bootstrap import client  # noqa: PLC0415  # `antiphon --help` waits for none of this
    from actors.cli.session_config import make_config  # noqa: PLC0415

    config = make_config(voice=voice, language=language, speed=speed)
    gateway = client.Gateway(url=url, key=key)

    async def main() -> None:
        texts = client.standard_input() if text == "-" else _whole(text)
        if out is None:
            await client.say_aloud(gateway, config, texts)
            return
        seconds = await client.say_into_file(gateway, config, texts, out)
        typer.echo(f"{out}: {seconds:.2f} s of speech")

    if text == "-" and sys.stdin.isatty():
        typer.echo("Type what to say; Ctrl-D ends it.", err=True)
    if not client.run(main()):
        raise typer.Exit(_INTERRUPTED)


async def _whole(text: str) -> AsyncIterator[str]:
    yield text
