"""Says again and again, in Redis, that a worker lives."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from adapters.registry import metrics
from adapters.registry.redis_connection import CALL_S, ERRORS, in_words
from adapters.registry.redis_place import Place
from protocol.codec import encode_announcement
from protocol.errors import BusUnavailable
from protocol.ids import WorkerName
from protocol.workers import Announcement, WorkerKind

_LOG = structlog.get_logger(__name__)

_FIRST_WITHIN_S: Final = 5.0
_RETRY_S: Final = 0.25
_AT_ONCE: Final = 100
"""Workers in one transaction: a server that serves others, too, is not held up."""


class RedisHeartbeat:
    """Writes the announcements of this process, each with a time to live. Everything runs on the loop.

    Document, name and event go in one transaction. Only what is new is told on the channel: a heartbeat tells nobody
    anything.
    """

    def __init__(
        self, redis: Redis, places: Mapping[WorkerKind, Place], *, where: str, every_s: float, ttl_s: float
    ) -> None:
        self._redis = redis
        self._places = places
        self._where = where
        self._every_s = every_s
        self._ttl_ms = round(ttl_s * 1000)
        self._said: dict[WorkerName, Announcement] = {}
        self._untold: set[WorkerName] = set()
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        self._is_closed = False

    async def announce(self, announcement: Announcement) -> None:
        """Say this now and by heartbeat.

        Raises:
            BusUnavailable: the first time only: nothing was taken for 5 s.
        """
        is_first = announcement.name not in self._said
        self._said[announcement.name] = announcement
        self._untold.add(announcement.name)
        if is_first:
            await self._announce_first(announcement.name)
        else:
            self._wake.set()

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends. If that cannot be said, its entry expires."""
        await self._withdraw([name])

    async def release(self, name: WorkerName) -> None:
        """Say nothing of it any more: its entry is somebody else's now, or expires."""
        self._said.pop(name, None)
        self._untold.discard(name)

    async def close(self) -> None:
        """Withdraw everything."""
        self._is_closed = True
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._withdraw(tuple(self._said))

    async def _withdraw(self, names: Sequence[WorkerName]) -> None:
        left = [said for name in names if (said := self._said.get(name)) is not None]
        for name in names:
            await self.release(name)
        try:
            while left:
                async with self._writing, asyncio.timeout(CALL_S), self._redis.pipeline(transaction=True) as pipe:
                    for said in left[:_AT_ONCE]:
                        place = self._places[said.kind]
                        pipe.delete(place.document(said.name))
                        pipe.srem(place.names, said.name)
                        pipe.publish(place.events, _event("withdraw", said.name))
                    await pipe.execute()
                del left[:_AT_ONCE]
        except ERRORS as error:
            if not self._is_failing:
                _LOG.warning("not withdrawn", worker=left[0].name, workers=len(left), reason=in_words(error))

    async def _announce_first(self, name: WorkerName) -> None:
        deadline = asyncio.get_running_loop().time() + _FIRST_WITHIN_S
        while (error := await self._beat([name])) is not None:
            if asyncio.get_running_loop().time() > deadline:
                await self.release(name)
                raise BusUnavailable(
                    f"the registry at {self._where} takes no announcement: {in_words(error)}"
                ) from error
            await asyncio.sleep(_RETRY_S)
        if self._task is None:
            self._task = asyncio.create_task(self._beat_for_ever(), name="redis-heartbeat")

    async def _beat_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._every_s
        while not self._is_closed:  # redis-py may swallow a cancellation
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, due - loop.time()))
            self._wake.clear()
            is_due = loop.time() >= due
            error = await self._beat(tuple(self._said if is_due else self._untold))
            self._report(error)
            if error is not None:
                self._untold.update(self._said)  # whoever comes back as well hears it at once
                due = loop.time() + _RETRY_S
            elif is_due:
                due = loop.time() + self._every_s

    def _report(self, error: Exception | None) -> None:
        """Once, not with every beat."""
        if error is not None and not self._is_failing:
            metrics.OUTAGES.labels("redis-write").inc()
            _LOG.warning("heartbeat failed", registry=self._where, reason=in_words(error))
        elif error is None and self._is_failing:
            _LOG.info("heartbeat is back", registry=self._where)
        self._is_failing = error is not None

    async def _beat(self, names: Iterable[WorkerName]) -> Exception | None:
        """Say what is to be said of these now; what went wrong, if something did."""
        left = list(names)
        try:
            while left:
                async with self._writing, asyncio.timeout(2 * CALL_S):
                    await self._write(left[:_AT_ONCE])
                del left[:_AT_ONCE]
        except ERRORS as error:
            return error
        return None

    async def _write(self, names: Iterable[WorkerName]) -> None:
        told: list[tuple[WorkerName, Announcement]] = []
        async with self._redis.pipeline(transaction=True) as pipe:
            for name in names:
                announcement = self._said.get(name)
                if announcement is not None:  # not withdrawn meanwhile
                    self._put(pipe, name, announcement)
                    told.append((name, announcement))
            await pipe.execute()
        self._untold.difference_update(name for name, said in told if self._said.get(name) is said)

    def _put(self, pipe: Any, name: WorkerName, announcement: Announcement) -> None:
        place = self._places[announcement.kind]
        pipe.set(place.document(name), encode_announcement(announcement), px=self._ttl_ms)
        pipe.sadd(place.names, name)
        if name in self._untold:
            pipe.publish(place.events, _event("announce", name))


def _event(event: str, name: WorkerName) -> bytes:
    return orjson.dumps({"event": event, "name": name})
