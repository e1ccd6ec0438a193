"""A whole system on one machine: an embedded NATS server, the gateway, the workers, and who keeps them running.

This process imports as little as it can: the parts start with their own imports while it is still printing.
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import uvloop

from actors.bootstrap.allocator import GIVES_BACK
from actors.bootstrap.families import Family, choose
from actors.bootstrap.narrator import Narrator
from actors.bootstrap.ready import READY
from actors.supervisor import Part, Supervisor
from adapters.server.antiphon_part import READY_WITHIN_S, AntiphonPart
from adapters.server.embedded_nats import EmbeddedNats
from protocol.errors import SettingsInvalid

_PREFERRED_NATS_PORT: Final = 4222
_TORCH_READY_WITHIN_S: Final = 900.0
"""Gigabytes from a slow disk, and the first import of torch and all that a library brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `antiphon up` was told."""

    host: str
    port: int
    voice: str | None
    tts: tuple[str, ...]
    """Families of voices; those that start by themselves if empty."""
    asr_model: str | None
    data_dir: Path
    nats: str | None
    nats_port: int | None
    key: str | None
    admin_key: str | None
    verbose: bool


def run(options: UpOptions) -> None:
    """Until SIGINT or SIGTERM.

    Raises:
        AntiphonError: it cannot even start.
    """
    with _claimed(options.data_dir):
        uvloop.run(_run(options))


async def _run(options: UpOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    narrator = Narrator(clock=time.monotonic, began=time.monotonic())
    if options.nats:
        await _supervise(options, options.nats, [], narrator, stop)
    else:
        server = _embedded(options)
        await server.start()
        try:
            await _supervise(options, server.url, [_NatsPart(server)], narrator, stop)
        finally:
            await server.stop(grace_s=0.5)
    narrator.ended()


async def _supervise(
    options: UpOptions, nats_url: str, foundation: list[Part], narrator: Narrator, stop: asyncio.Event
) -> None:
    parts = _parts(options, nats_url, narrator.echo if options.verbose else None)
    supervisor = Supervisor([foundation, parts], audience=narrator, clock=time.monotonic)
    with _whereabouts(options, nats_url):
        await supervisor.run(stop, when_usable=lambda: narrator.usable(_page(options), options.data_dir))


def _embedded(options: UpOptions) -> EmbeddedNats:
    """On 4222, where everybody looks for NATS, unless somebody else is there."""
    port = options.nats_port
    if port is None and _is_free(_PREFERRED_NATS_PORT):
        port = _PREFERRED_NATS_PORT
    return EmbeddedNats(options.data_dir / "nats", port=port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _parts(options: UpOptions, nats_url: str, echo: Callable[[str], None] | None) -> list[Part]:
    environment = {**os.environ, "ANTIPHON_NATS_URL": nats_url}
    given = {
        "ANTIPHON_API_KEY": options.key,  # not as a flag: everybody on this machine can read a command line
        "ANTIPHON_ADMIN_KEY": options.admin_key,
        "ANTIPHON_VOICE": options.voice,
        "ANTIPHON_ASR_MODEL": options.asr_model,
    }
    environment.update({name: value for name, value in given.items() if value is not None})

    def part(
        name: str,
        *arguments: str,
        is_essential: bool = True,
        ready_within_s: float = READY_WITHIN_S,
        own: Mapping[str, str] = MappingProxyType({}),
    ) -> Part:
        return AntiphonPart(
            name,
            ("serve", *arguments),
            ready_prefix=READY,
            log_file=options.data_dir / "logs" / f"{name}.log",
            environment={**own, **environment},
            is_essential=is_essential,
            may_end=name != "gateway",
            ready_within_s=ready_within_s,
            echo=None if echo is None else lambda line: echo(f"{name}: {line}"),
        )

    chosen = choose(options.tts, environment.get("ANTIPHON_VOICE") or None)
    model: tuple[str, ...] = ()
    if chosen.voice is not None:
        environment["ANTIPHON_VOICE"] = chosen.voice
        model = ("--model", chosen.voice)  # the worker says if there is no such model

    def voice(place: int, family: Family) -> Part:
        shift = ("--metrics-port-shift", str(place)) if place else ()  # one worker.yaml, a port for each
        return part(
            f"tts-{family.name}",
            *("tts", "--family", family.name, *shift, *(model if not place else ())),
            is_essential=not place,
            ready_within_s=_TORCH_READY_WITHIN_S if family.requirement.torch else READY_WITHIN_S,
            own=GIVES_BACK,
        )

    return [
        part("gateway", "gateway", "--host", options.host, "--port", str(options.port)),
        part("asr", "asr"),
        *(voice(place, family) for place, family in enumerate(chosen.families)),
    ]


def _page(options: UpOptions) -> str:
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::", "") else options.host  # noqa: S104  # compared, not bound
    return f"http://{host}:{options.port}/"


class _NatsPart:
    """The embedded server as a supervised part; it was started before the others, which need its address."""

    name = "nats"
    is_essential = True
    may_end = False

    def __init__(self, server: EmbeddedNats) -> None:
        self._server = server

    async def start(self) -> str:
        await self._server.start()
        return self._server.url

    async def wait(self) -> int:
        return await self._server.wait()

    async def stop(self) -> None:
        await self._server.stop(grace_s=0.5)


@contextmanager
def _whereabouts(options: UpOptions, nats_url: str) -> Iterator[None]:
    """While we run, `run.json` tells other commands where; a NATS URL may hold a password, so it is for us alone."""
    file = options.data_dir / "run.json"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({"nats": nats_url, "gateway": _page(options), "pid": os.getpid()}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _claimed(data_dir: Path) -> Iterator[None]:
    """The directory, for us alone: two servers on the same data would spoil it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise SettingsInvalid(f"--data-dir: {data_dir} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsInvalid(
                f"--data-dir: another `antiphon up` uses {data_dir}; name another directory for this one"
            ) from error
        yield
