"""Directories of sessions to be put through the same contract: in memory, and in NATS."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.bus.nats import NatsBus
from adapters.registry.bucket import make_bucket
from adapters.registry.nats_sessions import BUCKET, NatsSessions
from adapters.server.embedded_nats import EmbeddedNats
from protocol.directory import SessionEntry
from protocol.ids import ModelId, SessionId, TurnId, UnixMicros, WorkerName
from protocol.ports import SessionDirectory
from tests.fakes.directory import FakeDirectory

SOON_S: Final = 20.0
TTL_S: Final = 2
RENEW_S: Final = 0.5

Fits = Callable[[Sequence[SessionEntry]], bool]


def an_entry(name: str = "s-1", **said: Any) -> SessionEntry:
    """As a gateway writes it."""
    known: dict[str, Any] = {
        "session": SessionId(name),
        "gateway": "gateway-0",
        "state": "LISTENING",
        "turn": TurnId(0),
        "history": 0,
        "language": "en",
        "tts_worker": WorkerName("tts-hibari-0"),
        "tts_model": ModelId("hibari-heart"),
        "asr_worker": WorkerName("asr-whisper-0"),
        "opened_at": UnixMicros(7),
        "updated_at": UnixMicros(7),
    }
    return SessionEntry(**{**known, **said})


class Stage(Protocol):
    """A place for directories."""

    async def directory(self) -> SessionDirectory:
        """One more, as of another process, that sees the same sessions."""

    async def until(self, fits: Fits) -> None:
        """All sessions are like this."""


class MemoryStage:
    """All share one store."""

    def __init__(self) -> None:
        self._store: dict[SessionId, bytes] = {}

    async def directory(self) -> FakeDirectory:
        return FakeDirectory(self._store)

    async def until(self, fits: Fits) -> None:
        assert fits(await FakeDirectory(self._store).entries())


class NatsStage:
    """A real NATS server."""

    def __init__(self, server: EmbeddedNats, data_dir: Path, stack: AsyncExitStack) -> None:
        self._server = server
        self._dir = data_dir
        self._stack = stack

    async def directory(self, *, bus: NatsBus | None = None, **times: float) -> NatsSessions:
        options: dict[str, Any] = {"ttl_s": TTL_S, "renew_s": RENEW_S, "pause_s": 0.05, **times}
        directory = NatsSessions(bus or await self.connected(), **options)
        self._stack.push_async_callback(directory.close)
        return directory

    async def until(self, fits: Fits) -> None:
        """Looked at once, and again at each change in the bucket."""
        bus = await self.connected()
        directory = NatsSessions(bus)
        async with asyncio.timeout(SOON_S):
            js = bus.client.jetstream()
            await make_bucket(js, replicas=1, bucket=BUCKET)
            watcher = await (await js.key_value(BUCKET)).watchall()
            async for _ in watcher:
                if fits(await directory.entries()):
                    break
            await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py
        await directory.close()

    async def restart(self, *, forgetful: bool = False) -> None:
        """The server goes and comes back: with what it has stored, or without."""
        await self._server.stop()
        if forgetful:
            shutil.rmtree(self._dir / "jetstream")
        await self._server.start()

    async def connected(self) -> NatsBus:
        bus = await NatsBus.connect(self._server.url, name="directory")
        self._stack.push_async_callback(bus.close)
        return bus


def kill(directory: NatsSessions) -> None:
    """As if its process had been killed."""
    directory._task.cancel()
    directory._is_closed = True
