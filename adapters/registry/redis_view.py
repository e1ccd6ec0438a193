"""Keeps a view of all workers in Redis up to date."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from adapters.registry import metrics
from adapters.registry.redis_connection import CALL_S, ERRORS, in_words
from adapters.registry.redis_document import read_event
from adapters.registry.redis_index import RedisIndex
from adapters.registry.redis_place import Key, Place
from adapters.registry.redis_roster import Change, Roster
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement, WorkerKind

_LOG = structlog.get_logger(__name__)

_FIRST_WITHIN_S: Final = 5.0
_TICK_S: Final = 0.25
_EVENTS_AT_ONCE: Final = 256
_PASS_S: Final = 10.0
"""For reading everything once."""

OnChange = Callable[[WorkerName, Announcement | None], None]


class RedisView:
    """Events say whom to look at, the keys say what is true. Everything runs on the loop.

    A key that expires tells nobody, and an event may be lost: every `reconcile_s` all names and documents are read.
    After a lost connection everything is subscribed and read anew.
    """

    def __init__(
        self,
        redis: Redis,
        places: Mapping[WorkerKind, Place],
        *,
        where: str,
        lease_s: float,
        ttl_s: float,
        reconcile_s: float,
    ) -> None:
        self._redis = redis
        self._index = RedisIndex(redis, places)
        self._kinds = {place.events.encode(): place.kind for place in places.values()}
        self._where = where
        self._ttl_s = ttl_s
        self._reconcile_s = reconcile_s
        self._roster = Roster(lease_s)
        self._stale: dict[Key, float] = {}
        self._loop = asyncio.get_running_loop()
        self._on_change: OnChange | None = None
        self._events: PubSub | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_lost = False
        self._is_answered = False
        self._is_closed = False

    async def watch(self, on_change: OnChange) -> None:
        """Read who is there, keep it up to date from now on, and call this on the loop at each change (None: gone).

        Raises:
            BusUnavailable: Redis is not there, or refuses us.
        """
        self._on_change = on_change
        if self._task is not None:
            for announcement in self._roster.snapshot():
                on_change(announcement.name, announcement)
            return
        try:
            async with asyncio.timeout(_FIRST_WITHIN_S):
                self._events = await self._subscribed()
                await self._reconcile()
        except ERRORS as error:
            raise BusUnavailable(f"the registry at {self._where} cannot be read: {in_words(error)}") from error
        self._task = asyncio.create_task(self._watch_for_ever(self._events), name="redis-watch")

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""
        return self._roster.snapshot()

    async def close(self) -> None:
        """Stop watching."""
        self._on_change = None
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._unsubscribe()

    async def _watch_for_ever(self, events: PubSub) -> None:
        while not self._is_closed:  # redis-py may swallow a cancellation
            try:
                await self._follow(events)
            except ERRORS as error:
                self._lost(error)
                await self._unsubscribe()
                events = await self._back()

    async def _unsubscribe(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            with suppress(*ERRORS):
                await events.aclose()  # type: ignore[no-untyped-call]  # redis-py declares no types here

    async def _back(self) -> PubSub:
        """Subscribed again, once Redis is there again."""
        while True:
            self._roster.out_of_reach(self._loop.time())
            await asyncio.sleep(_TICK_S)
            with suppress(*ERRORS):
                async with asyncio.timeout(2 * CALL_S):
                    self._events = events = await self._subscribed()
                return events

    async def _follow(self, events: PubSub) -> None:
        self._is_answered = True
        due = self._loop.time()
        while not self._is_closed:
            if self._loop.time() >= due:
                await self._check(events)
                due = self._loop.time() + self._reconcile_s
            wait_s = min(_TICK_S, max(0.0, due - self._loop.time()))
            await self._look_at(await self._told(events, wait_s))
            self._tell(self._roster.expire(self._loop.time()))

    async def _check(self, events: PubSub) -> None:
        """Read everything, and ask whether the connection that tells us of events is alive."""
        await self._reconcile()
        if not self._is_answered:
            raise TimeoutError("the connection for events is dead")
        self._is_answered = False
        await events.ping()
        if self._is_lost:
            _LOG.info("registry is readable again", registry=self._where)
            self._is_lost = False

    def _lost(self, error: BaseException) -> None:
        if not self._is_lost:
            metrics.OUTAGES.labels("redis-read").inc()
            _LOG.warning("registry not readable", registry=self._where, reason=in_words(error))
        self._is_lost = True

    async def _subscribed(self) -> PubSub:
        """Returns once the server has said that it will tell us of every event."""
        events = self._redis.pubsub(ignore_subscribe_messages=False)
        try:
            await events.subscribe(*self._kinds)
            for _ in self._kinds:
                if await events.get_message(timeout=CALL_S) is None:
                    raise TimeoutError("no answer to a subscription")  # noqa: TRY301  # closed below as for any error
        except BaseException:
            await events.aclose()  # type: ignore[no-untyped-call]  # redis-py declares no types here
            raise
        return events

    async def _told(self, events: PubSub, wait_s: float) -> dict[Key, bool]:
        """Whom the events are about that come now, and whether the last one said goodbye."""
        keys: dict[Key, bool] = {}
        for _ in range(_EVENTS_AT_ONCE):
            message: dict[str, Any] | None = await events.get_message(timeout=wait_s)
            if message is None:
                break
            wait_s = 0.0
            if message["type"] == "pong":
                self._is_answered = True
            elif message["type"] == "message":
                try:
                    name, is_goodbye = read_event(message["data"])
                except MalformedMessage as error:
                    metrics.REFUSED.labels("malformed").inc()
                    _LOG.debug("malformed event", reason=str(error))
                else:
                    keys[Key(self._kinds[message["channel"]], name)] = is_goodbye
        return keys

    async def _look_at(self, keys: Mapping[Key, bool]) -> None:
        """What happened is read from the keys, which cannot be late."""
        async with asyncio.timeout(_PASS_S):
            async for key, data in self._index.documents(list(keys)):
                if data and not (keys[key] and not await self._index.is_named(key)):
                    self._tell(self._roster.read(key, data, self._loop.time()))
                else:
                    self._tell(self._roster.missing(key, certainly=True))

    async def _reconcile(self) -> None:
        async with asyncio.timeout(_PASS_S):
            named = await self._index.names()
            now = self._loop.time()
            stale: dict[Key, float] = {}
            async for key, data in self._index.documents(list(dict.fromkeys((*named, *self._roster.keys())))):
                if data:
                    self._tell(self._roster.read(key, data, self._loop.time()))
                else:
                    self._tell(self._roster.missing(key))
                    stale[key] = self._stale.get(key, now)
            # Somebody may write the name first and its document a moment later.
            self._stale = {key: stale[key] for key in named if key in stale}
            await self._index.forget([key for key, since in self._stale.items() if now - since > self._ttl_s])

    def _tell(self, changes: Sequence[Change]) -> None:
        for name, announcement in changes:
            try:
                if self._on_change is not None:
                    self._on_change(name, announcement)
            except Exception:  # noqa: BLE001  # logged whole; the view lives on whatever its watcher does
                _LOG.exception("a watcher failed", worker=name)
