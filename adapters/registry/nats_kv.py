"""The workers' registry in a NATS key-value bucket (`protocol.ports.WorkerRegistry`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from adapters.bus.nats import NatsBus
from adapters.registry.bucket import ALL_KEYS, STREAM, announcement_of, in_words, make_bucket, worker_of
from adapters.registry.heartbeat import Heartbeat
from adapters.registry.leases import Leases
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)

HEARTBEAT_S: Final = 2.0
TTL_S: Final = 15
"""Whole seconds: NATS counts no finer. A cluster that lost its leader takes no writes for 4 to 6 s."""
LEASE_S: Final = 20.0
_CALL_S: Final = 1.0
_FIRST_WITHIN_S: Final = 5.0
_SILENT_BEATS: Final = 3
_TICK_S: Final = 0.25

OnChange = Callable[[WorkerName, Announcement | None], None]


class NatsKvRegistry:
    """Announces workers of this process, and keeps a view of all workers in memory. Everything runs on the loop.

    The view is fed by a consumer that is made anew after each reconnection, and whenever nothing was heard for three
    heartbeats: a consumer may vanish with the server's memory, the whole bucket with its disk.
    """

    def __init__(
        self,
        bus: NatsBus,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        ttl_s: int = TTL_S,
        lease_s: float = LEASE_S,
        replicas: int = 1,
    ) -> None:
        self._bus = bus
        self._js: JetStreamContext = bus.client.jetstream(timeout=_CALL_S)
        self._loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(bus, self._js, every_s=heartbeat_s, ttl_s=ttl_s, replicas=replicas)
        self._trusted_s = ttl_s - heartbeat_s
        self._silence_s = _SILENT_BEATS * heartbeat_s
        self._replicas = replicas
        self._leases = Leases(lease_s)
        self._on_change: OnChange | None = None
        self._consumer: JetStreamContext.PushSubscription | None = None
        self._heard_at = 0.0
        self._is_stale = False
        self._is_closed = False
        self._watching: asyncio.Task[None] | None = None
        bus.on_reconnect(self._distrust)

    async def announce(self, announcement: Announcement) -> None:
        """Say that this worker lives, now and by heartbeat until withdrawn. A later call replaces what is said.

        Raises:
            BusUnavailable: the first time only: the registry takes nothing for 5 s, e.g. because JetStream is off.
        """
        await self._heartbeat.announce(announcement)

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends. If that cannot be said, its entry expires."""
        await self._heartbeat.withdraw(name)

    async def release(self, name: WorkerName) -> None:
        """Say nothing of it any more, without saying that it ends."""
        self._heartbeat.release(name)

    async def watch(self, on_change: OnChange) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone).

        Raises:
            BusUnavailable: JetStream is not available.
        """
        self._on_change = on_change
        try:
            async with asyncio.timeout(_FIRST_WITHIN_S):
                await self._consume()
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"the registry at {self._bus.url} cannot be read: {in_words(error)}") from error
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch_for_ever(), name="registry-watch")

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""
        return self._leases.snapshot()

    async def close(self) -> None:
        """Withdraw what was announced and stop watching."""
        await self._heartbeat.close()
        self._is_closed = True
        self._on_change = None
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._consumer is not None and self._bus.is_connected:
            with suppress(NatsError):
                await self._consumer.unsubscribe()

    # --- the view ----------------------------------------------------------------------------------------------------
    async def _watch_for_ever(self) -> None:
        while not self._is_closed:  # nats-py may swallow a cancellation
            await asyncio.sleep(_TICK_S)
            now = self._loop.time()
            if not self._bus.is_connected:
                self._leases.renew_all(now)  # nobody can be heard: nobody's silence counts
                continue
            for name in self._leases.expire(now):
                self._tell(name, None)
            if self._is_stale or now - self._heard_at > self._silence_s:
                try:
                    await self._consume()
                except (NatsError, TimeoutError) as error:
                    _LOG.debug("registry not readable", reason=in_words(error))

    def _distrust(self) -> None:
        self._is_stale = True

    async def _consume(self) -> None:
        """A fresh consumer: first the last word of each worker, then everything new."""
        self._is_stale = True
        old, self._consumer = self._consumer, None
        if old is not None:
            await old.unsubscribe()
        try:
            self._consumer = await self._subscribe()
        except NotFoundError:
            await make_bucket(self._js, replicas=self._replicas)
            self._consumer = await self._subscribe()
        self._is_stale = False
        self._heard_at = self._loop.time()

    async def _subscribe(self) -> JetStreamContext.PushSubscription:
        """Not nats-py's `ordered_consumer`: it resumes by sequence, which means nothing after the storage is wiped."""
        subscribe: Callable[..., Awaitable[JetStreamContext.PushSubscription]] = self._js.subscribe
        return await subscribe(
            ALL_KEYS,
            stream=STREAM,
            cb=self._heard,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                inactive_threshold=5.0,
            ),
        )

    async def _heard(self, msg: Msg) -> None:
        now = self._heard_at = self._loop.time()
        name = worker_of(msg.subject)
        headers = msg.headers or {}
        if headers.get("Nats-Marker-Reason") == "MaxAge":
            # The server counts while it is down. Who was alive when it went gets until the end of our own lease.
            if self._leases.silent_for_s(name, now) >= self._trusted_s:
                self._gone(name)
        elif "KV-Operation" in headers or "Nats-Marker-Reason" in headers or not msg.data:
            self._gone(name)
        else:
            self._announced(name, msg.data, now)

    def _announced(self, name: WorkerName, data: bytes, now: float) -> None:
        try:
            announcement = announcement_of(name, data)
        except MalformedMessage as error:
            _LOG.warning("malformed announcement", worker=name[:64], reason=str(error))
            return
        if self._leases.put(announcement, now):
            self._tell(name, announcement)

    def _gone(self, name: WorkerName) -> None:
        if self._leases.remove(name):
            self._tell(name, None)

    def _tell(self, name: WorkerName, announcement: Announcement | None) -> None:
        if self._on_change is not None:
            self._on_change(name, announcement)
