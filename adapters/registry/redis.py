"""The workers' registry in Redis (`protocol.ports.WorkerRegistry`), by the contract in docs/registry.md."""

from collections.abc import Sequence
from typing import Final

from adapters.registry.redis_connection import open_client, without_secrets
from adapters.registry.redis_heartbeat import RedisHeartbeat
from adapters.registry.redis_place import ASR_PREFIX, TTS_PREFIX, Place
from adapters.registry.redis_view import OnChange, RedisView
from protocol.errors import SettingsInvalid
from protocol.ids import WorkerName
from protocol.workers import Announcement, WorkerKind

HEARTBEAT_S: Final = 2.0
TTL_S: Final = 15.0
LEASE_S: Final = 20.0
RECONCILE_S: Final = 1.0


class RedisRegistry:
    """Announces workers of this process, and keeps a view of all workers in memory. Everything runs on the loop.

    Workers of another system are seen under a name that is a token of a NATS subject
    (`adapters.registry.redis_document`).

    Args:
        url: of one Redis server; a Redis Cluster would spread the keys of one transaction.
        tts_prefix: the set of TTS workers; their documents and their channel begin with it.
        asr_prefix: the same for ASR workers.
        ttl_s: how long a document outlives the last heartbeat.
        lease_s: how long a worker counts as alive, by our own clock, after it was last seen.
        reconcile_s: how often everything is read, for what no event told.

    Raises:
        SettingsInvalid: the URL is none, or the prefixes are in each other's way.
    """

    def __init__(
        self,
        url: str,
        *,
        tts_prefix: str = TTS_PREFIX,
        asr_prefix: str = ASR_PREFIX,
        heartbeat_s: float = HEARTBEAT_S,
        ttl_s: float = TTL_S,
        lease_s: float = LEASE_S,
        reconcile_s: float = RECONCILE_S,
    ) -> None:
        if tts_prefix == asr_prefix:
            raise SettingsInvalid("redis.asr_prefix: must differ from redis.tts_prefix")
        places: dict[WorkerKind, Place] = {"tts": Place("tts", tts_prefix), "asr": Place("asr", asr_prefix)}
        self._where = without_secrets(url)
        self._redis = open_client(url)
        self._heartbeat = RedisHeartbeat(self._redis, places, where=self._where, every_s=heartbeat_s, ttl_s=ttl_s)
        self._view = RedisView(
            self._redis, places, where=self._where, lease_s=lease_s, ttl_s=ttl_s, reconcile_s=reconcile_s
        )

    @property
    def where(self) -> str:
        """The server, without secrets."""
        return self._where

    async def announce(self, announcement: Announcement) -> None:
        """Say that this worker lives, now and by heartbeat until withdrawn. A later call replaces what is said.

        Raises:
            BusUnavailable: the first time only: Redis takes nothing for 5 s.
        """
        await self._heartbeat.announce(announcement)

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends. If that cannot be said, its entry expires."""
        await self._heartbeat.withdraw(name)

    async def release(self, name: WorkerName) -> None:
        """Say nothing of it any more, without saying that it ends."""
        await self._heartbeat.release(name)

    async def watch(self, on_change: OnChange) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone).

        Raises:
            BusUnavailable: Redis is not there, or refuses us.
        """
        await self._view.watch(on_change)

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""
        return self._view.snapshot()

    async def close(self) -> None:
        """Withdraw what was announced and stop watching."""
        await self._heartbeat.close()
        await self._view.close()
        await self._redis.aclose()
