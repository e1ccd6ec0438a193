"""`antiphon serve`: one part of a system, for several terminals or hosts."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.cli.pack_options import CacheDir, VoicepacksDir

app = typer.Typer(no_args_is_help=True, help="Run one part: for several terminals, or several hosts.")

_GATEWAY_FILE: Final = Path("gateway.yaml")
_WORKER_FILE: Final = Path("worker.yaml")

Nats = Annotated[
    str | None, typer.Option("--nats", help="Of the NATS server, or several separated by commas.", metavar="URL")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="A YAML file; its keys: docs/configuration.md.", metavar="FILE")
]
LogLevel = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]


@app.command()
def gateway(
    *,
    nats: Nats = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Where to listen; 0.0.0.0 for all interfaces.")] = None,
    port: Annotated[int | None, typer.Option(help="Of the page and the API.")] = None,
    voice: Annotated[str | None, typer.Option(help="Of sessions that choose none.")] = None,
    key: Annotated[str | None, typer.Option(help="That clients must show; better in ANTIPHON_API_KEY.")] = None,
    admin_key: Annotated[
        str | None, typer.Option(help="That operators must show; better in ANTIPHON_ADMIN_KEY.")
    ] = None,
    max_sessions: Annotated[int | None, typer.Option(help="More are refused.")] = None,
    name: Annotated[str | None, typer.Option(help="Unique among all gateways.")] = None,
    log_level: LogLevel = None,
) -> None:
    """Run the gateway: the page, WebRTC and WebSocket, sessions, voice activity.

    Example: antiphon serve gateway --nats nats://10.0.0.5:4222 --host 0.0.0.0
    """
    _prepare_imports()
    from actors.settings import GatewaySettings  # noqa: PLC0415  # `antiphon --help` waits for none of this

    flags = {
        "nats.url": nats,
        "host": host,
        "port": port,
        "voice": voice,
        "api_key": key,
        "admin_key": admin_key,
        "max_sessions": max_sessions,
        "name": name,
        "log_level": log_level,
    }
    settings = _load(GatewaySettings, config, _GATEWAY_FILE, flags)
    _limit_threads(1)
    from actors.bootstrap import gateway as bootstrap  # noqa: PLC0415

    bootstrap.run(settings)


@app.command()
def asr(
    *,
    nats: Nats = None,
    config: Config = None,
    model: Annotated[str | None, typer.Option(help="A Whisper model's name, or a folder with one.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto.")] = None,
    threads: Annotated[int | None, typer.Option(help="For one transcription on a CPU.")] = None,
    name: Annotated[str | None, typer.Option(help="Unique among all workers.")] = None,
    log_level: LogLevel = None,
) -> None:
    """Run a worker that hears (Whisper).

    Example: antiphon serve asr --model small --device cuda
    """
    _prepare_imports()
    from actors.settings import WorkerSettings  # noqa: PLC0415

    flags = {
        "nats.url": nats,
        "asr.model": model,
        "asr.device": device,
        "asr.threads": threads,
        "asr.name": name,
        "log_level": log_level,
    }
    settings = _load(WorkerSettings, config, _WORKER_FILE, flags)
    _limit_threads(settings.asr.threads)
    from actors.bootstrap import asr as bootstrap  # noqa: PLC0415

    bootstrap.run(settings)


@app.command()
def tts(
    *,
    nats: Nats = None,
    config: Config = None,
    family: Annotated[str | None, typer.Option(help="Of voices: `antiphon voices list` shows them.")] = None,
    model: Annotated[str | None, typer.Option(help="Of sessions that name none.")] = None,
    preload: Annotated[str | None, typer.Option(help="More models to have in memory, separated by commas.")] = None,
    device: Annotated[str | None, typer.Option(help="For models that torch runs: cpu, cuda:0.")] = None,
    dtype: Annotated[str | None, typer.Option(help="For them: float32, bfloat16 or float16.")] = None,
    threads: Annotated[int | None, typer.Option(help="For one model's computing on a CPU.")] = None,
    name: Annotated[str | None, typer.Option(help="Unique among all workers.")] = None,
    metrics_port_shift: Annotated[
        int | None, typer.Option(help="Added to tts.metrics_port: for several workers with one worker.yaml.")
    ] = None,
    voicepacks_dir: VoicepacksDir = None,
    cache_dir: CacheDir = None,
    log_level: LogLevel = None,
) -> None:
    """Run a worker that speaks, with one family of voices.

    Example: antiphon serve tts --family piper

    Example: antiphon serve tts --family csm --device cuda:0 --preload csm-ada
    """
    _prepare_imports()
    from actors.settings import WorkerSettings  # noqa: PLC0415

    flags = {
        "nats.url": nats,
        "tts.family": family,
        "tts.model_manager.default_model_id": model,
        "tts.model_manager.preload_model_ids": preload.split(",") if preload else None,
        "tts.device": device,
        "tts.dtype": dtype,
        "tts.threads": threads,
        "tts.name": name,
        "tts.metrics_port_shift": metrics_port_shift,
        "voicepacks_dir": voicepacks_dir,
        "cache_dir": cache_dir,
        "log_level": log_level,
    }
    settings = _load(WorkerSettings, config, _WORKER_FILE, flags)
    _limit_threads(settings.tts.threads)
    from actors.bootstrap import tts as bootstrap  # noqa: PLC0415

    bootstrap.run(settings)


def _prepare_imports() -> None:
    from actors.bootstrap.lean import import_plainly  # noqa: PLC0415

    import_plainly()


def _limit_threads(count: int) -> None:
    from actors.bootstrap.threads import limit_threads  # noqa: PLC0415

    limit_threads(count)


def _load(kind: Any, file: Path | None, default_file: Path, flags: dict[str, Any]) -> Any:
    """Settings from all sources, a misspelt variable told of."""
    from actors.settings import GatewaySettings, WorkerSettings  # noqa: PLC0415
    from actors.settings_sources import load, misspelt  # noqa: PLC0415

    for complaint in misspelt((GatewaySettings, WorkerSettings), os.environ):
        typer.echo(f"antiphon: {complaint}", err=True)
    return load(kind, file=file, default_file=default_file, environ=os.environ, flags=flags)
