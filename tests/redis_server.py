"""A real Redis server for tests, on a free port of this machine."""

import asyncio
import shutil
import socket
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError

from adapters.server.child_process import ChildProcess

_READY_WITHIN_S: Final = 10.0


class RedisServer:
    """`stop` and `start` bring it back on the same port: with its data, unless it is told to forget.

    Args:
        data_dir: its log and its data.
        arguments: more of its command line, e.g. `--requirepass`; `--port 0` stands for none but TLS's.
        url: where clients find it, `{port}` being its port; a plain one if None.
    """

    def __init__(self, data_dir: Path, *arguments: str, url: str = "redis://127.0.0.1:{port}/0") -> None:
        self._dir = data_dir
        self._arguments = arguments
        self.port = _free_port()
        self.url = url.format(port=self.port)
        self._child: ChildProcess | None = None

    async def start(self) -> None:
        """Returns once it answers."""
        self._dir.mkdir(parents=True, exist_ok=True)
        port = [] if "--port" in self._arguments else ["--port", str(self.port)]
        arguments = [argument.format(port=self.port) for argument in self._arguments]
        self._child = ChildProcess(
            ["redis-server", *port, "--bind", "127.0.0.1", "--dir", str(self._dir), "--save", "3600 1", *arguments],
            log_file=self._dir / "redis.log",
        )
        await self._child.start()
        async with asyncio.timeout(_READY_WITHIN_S), Redis.from_url(self.url) as client:
            while not await _answers(client):
                assert self._child.is_running, (self._dir / "redis.log").read_text()
                await asyncio.sleep(0.01)

    async def stop(self, *, forget: bool = False) -> None:
        """SIGTERM: it keeps its data on disk, unless told to forget them."""
        if self._child is not None:
            await self._child.stop()
        if forget:
            shutil.rmtree(self._dir)

    def process(self) -> ChildProcess:
        """To send signals to."""
        assert self._child is not None
        return self._child

    def client(self) -> "Redis":
        """Another user of the same server."""
        client: Any = Redis.from_url(self.url, decode_responses=True, retry=Retry(ConstantBackoff(0.05), 20))
        assert isinstance(client, Redis)
        return client


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
