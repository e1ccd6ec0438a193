"""Reads what stands in Redis, in bounded bites."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError, WatchError

from adapters.registry import metrics
from adapters.registry.redis_place import MAX_NAME, Key, Place
from adapters.registry.redis_roster import MAX_ENTRIES
from protocol.codec import MAX_MESSAGE_BYTES
from protocol.workers import WorkerKind

_LOG = structlog.get_logger(__name__)

_AT_ONCE: Final = 50
"""Documents in one answer: parsing them must not hold up the loop."""


class RedisIndex:
    """The names and the documents of all places. Everything runs on the loop.

    Raises, wherever it reads or writes, what Redis raises (`adapters.registry.redis_connection.ERRORS`).
    """

    def __init__(self, redis: Redis, places: Mapping[WorkerKind, Place]) -> None:
        self._redis = redis
        self._places = places

    async def names(self) -> list[Key]:
        """Those in the sets, at most 4,096 of each kind: somebody may write nonsense into a set, too."""
        found: dict[Key, None] = {}
        for place in self._places.values():
            of_kind = 0
            async for raw in self._redis.sscan_iter(place.names, count=500):
                key = _key(place.kind, raw)
                if key is not None:
                    found[key] = None
                of_kind += 1
                if of_kind >= MAX_ENTRIES:
                    break
        return list(found)

    async def documents(self, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, bytes]]:
        """What stands under each of these keys; nothing: empty. No more of one is read than a document may have."""
        for first in range(0, len(keys), _AT_ONCE):
            some = keys[first : first + _AT_ONCE]
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.getrange(self._place_of(key), 0, MAX_MESSAGE_BYTES)
                answers: list[Any] = await pipe.execute(raise_on_error=False)
            for key, answer in zip(some, answers, strict=True):
                if isinstance(answer, ResponseError):  # a list, a hash: no document
                    yield key, b"?"
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    yield key, answer

    async def is_named(self, key: Key) -> bool:
        """Whether its name is in the set."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.sismember(self._places[key.kind].names, key.name)
            (answer,) = await pipe.execute()
        return bool(answer)

    async def forget(self, keys: Iterable[Key]) -> None:
        """Take names out of their sets, if nothing stands under them still."""
        for key in keys:
            async with self._redis.pipeline(transaction=True) as pipe:
                document = self._place_of(key)
                await pipe.watch(document)
                if await pipe.exists(document):
                    continue
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py declares no types here
                pipe.srem(self._places[key.kind].names, key.name)
                try:
                    await pipe.execute()
                except WatchError:  # it came back in this moment
                    continue
            _LOG.info("forgot the name of a worker that is gone", worker=key.name[:64])

    def _place_of(self, key: Key) -> str:
        return self._places[key.kind].document(key.name)


def _key(kind: WorkerKind, raw: bytes) -> Key | None:
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = ""
    if 0 < len(name) <= MAX_NAME:
        return Key(kind, name)
    metrics.REFUSED.labels("malformed").inc()
    return None
