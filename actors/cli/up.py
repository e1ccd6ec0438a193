"""`antiphon up`: a whole system on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from actors.cli.whereabouts import default_data_dir


def up(
    *,
    port: Annotated[int, typer.Option(help="Of the page and the API.")] = 8700,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    voice: Annotated[str | None, typer.Option(help="Of sessions that choose none, e.g. piper-joe.")] = None,
    tts: Annotated[
        list[str] | None,
        typer.Option(
            "--tts",
            help="hibari, piper, kokoro (slow), xtts, csm, cosyvoice2 (for GPUs); may be repeated. "
            "hibari and piper if not given.",
            metavar="FAMILY",
        ),
    ] = None,
    asr_model: Annotated[str | None, typer.Option(help="A Whisper model's name, or a folder with one.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="For logs and NATS; ~/.local/share/antiphon if not given.", metavar="DIR")
    ] = None,
    nats: Annotated[str | None, typer.Option("--nats", help="Use this server.", metavar="URL")] = None,
    nats_port: Annotated[int | None, typer.Option(help="Of the embedded server; 4222 or a free one.")] = None,
    key: Annotated[str | None, typer.Option(help="That clients must show; better in ANTIPHON_API_KEY.")] = None,
    admin_key: Annotated[
        str | None, typer.Option(help="That operators must show; better in ANTIPHON_ADMIN_KEY.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the parts' logs here, too.")] = False,
) -> None:
    """Start everything on this machine, and end it together with Ctrl-C.

    Example: antiphon up --voice piper-joe

    A slow voice, too: antiphon up --tts hibari --tts piper --tts kokoro
    """
    from actors.bootstrap import up as bootstrap  # noqa: PLC0415  # `antiphon --help` waits for none of this

    bootstrap.run(
        bootstrap.UpOptions(
            host=host,
            port=port,
            voice=voice,
            tts=tuple(tts or ()),
            asr_model=asr_model,
            data_dir=data_dir or default_data_dir(),
            nats=nats,
            nats_port=nats_port,
            key=key,
            admin_key=admin_key,
            verbose=verbose,
        )
    )
