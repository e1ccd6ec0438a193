"""`antiphon bridge`: let workers of another system be found, and let it find ours."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

app = typer.Typer(no_args_is_help=True)

_FILE: Final = Path("bridge.yaml")


@app.callback()
def bridge() -> None:
    """Connect with another system's registry of workers.

    Example: antiphon bridge redis --redis redis://10.0.0.7:6379/0
    """


@app.command()
def redis(
    *,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis",
            help="Of the Redis server, rediss:// for TLS; with a password better in ANTIPHON_REDIS_URL.",
            metavar="URL",
        ),
    ] = None,
    nats: Annotated[
        str | None, typer.Option("--nats", help="Of the NATS server, or several separated by commas.", metavar="URL")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Of the TTS workers' keys; tts:workers if none is named.")
    ] = None,
    asr_prefix: Annotated[
        str | None, typer.Option("--asr-prefix", help="Of the ASR workers' keys; asr:workers if none is named.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A YAML file; its keys: docs/configuration.md.", metavar="FILE")
    ] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
) -> None:
    """Mirror the registry in NATS and one in Redis in each other, until Ctrl-C.

    Workers that announce themselves in Redis are found by our gateways, ours by who reads Redis. Several bridges at
    once do no harm.

    Example: antiphon bridge redis --redis redis://10.0.0.7:6379/0 --nats nats://10.0.0.5:4222
    """
    from actors.settings import BridgeSettings, GatewaySettings, WorkerSettings  # noqa: PLC0415  # --help is fast
    from actors.settings_sources import load, misspelt  # noqa: PLC0415

    for complaint in misspelt((GatewaySettings, WorkerSettings, BridgeSettings), os.environ):
        typer.echo(f"antiphon: {complaint}", err=True)
    flags = {
        "redis.url": redis_url,
        "nats.url": nats,
        "redis.tts_prefix": prefix,
        "redis.asr_prefix": asr_prefix,
        "log_level": log_level,
    }
    settings = load(BridgeSettings, file=config, default_file=_FILE, environ=os.environ, flags=flags)
    from actors.bootstrap import bridge as bootstrap  # noqa: PLC0415

    bootstrap.run(settings)
