"""The workers' registry in a NATS key-value bucket (`protocol.ports.WorkerRegistry`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, KeyValueConfig, StorageType
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError, NoStreamResponseError, NotFoundError

from adapters.bus.nats import NatsBus
from adapters.registry.leases import Leases
from protocol.codec import decode_announcement, encode_announcement
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)

BUCKET: Final = "workers"
HEARTBEAT_S: Final = 2.0
TTL_S: Final = 15
"""Whole seconds: NATS counts no finer. A cluster that lost its leader takes no writes for 4 to 6 s."""
LEASE_S: Final = 20.0
MARKER_S: Final = 60
_CALL_S: Final = 1.0
_FIRST_ANNOUNCEMENT_S: Final = 5.0
_SILENT_BEATS: Final = 3
_RETRY_S: Final = 0.25

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
        self._heartbeat_s = heartbeat_s
        self._ttl_s = ttl_s
        self._replicas = replicas
        self._leases = Leases(lease_s)
        self._said: dict[WorkerName, Announcement] = {}
        self._beating = asyncio.Lock()
        self._on_change: OnChange | None = None
        self._consumer: JetStreamContext.PushSubscription | None = None
        self._heard_at = 0.0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stale = False
        self._is_closed = False
        bus.on_reconnect(self._reconnected)

    # --- announcing --------------------------------------------------------------------------------------------------
    async def announce(self, announcement: Announcement) -> None:
        """Say that this worker lives, now and by heartbeat until withdrawn. A later call replaces what is said.

        Raises:
            BusUnavailable: the first time only: the registry takes nothing for 5 s, e.g. because JetStream is off.
        """
        is_first = announcement.name not in self._said
        self._said[announcement.name] = announcement
        if is_first:
            await self._announce_first(announcement)
        else:
            self._wake.set()

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends. If that cannot be said, its entry expires."""
        announcement = self._said.pop(name, None)
        if announcement is None or not self._bus.is_connected:
            return
        async with self._beating:
            try:
                await self._js.publish(_subject(announcement), headers={"KV-Operation": "DEL"}, msg_ttl=MARKER_S)
            except (NatsError, TimeoutError) as error:
                _LOG.warning("not withdrawn", worker=name, reason=_reason(error))

    async def _announce_first(self, announcement: Announcement) -> None:
        deadline = self._loop.time() + _FIRST_ANNOUNCEMENT_S
        while (error := await self._beat(announcement.name)) is not None:
            if self._loop.time() > deadline:
                del self._said[announcement.name]
                raise BusUnavailable(
                    f"the registry at {self._bus.url} takes no announcement: {_reason(error)}; "
                    "NATS must run with JetStream (see nats.conf)"
                ) from error
            await asyncio.sleep(_RETRY_S)
        self._run_once("registry-heartbeat", self._beat_for_ever)

    async def _beat_for_ever(self) -> None:
        is_failing = False
        while not self._is_closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._heartbeat_s)
            self._wake.clear()
            if not self._bus.is_connected:
                continue
            failures = [error for name in tuple(self._said) if (error := await self._beat(name)) is not None]
            if failures and not is_failing:
                _LOG.warning("heartbeat failed", reason=_reason(failures[0]))
            is_failing = bool(failures)

    async def _beat(self, name: WorkerName) -> Exception | None:
        """Say what is to be said of `name` now; what went wrong, if something did."""
        async with self._beating:
            announcement = self._said.get(name)
            if announcement is None:
                return None
            try:
                await self._put(_subject(announcement), encode_announcement(announcement))
            except (NatsError, TimeoutError) as error:
                return error
            return None

    async def _put(self, subject: str, data: bytes) -> None:
        try:
            await self._js.publish(subject, data, msg_ttl=self._ttl_s)
        except NoStreamResponseError:
            await self._make_bucket()
            await self._js.publish(subject, data, msg_ttl=self._ttl_s)

    async def _make_bucket(self) -> None:
        config = KeyValueConfig(
            bucket=BUCKET, storage=StorageType.FILE, replicas=self._replicas, limit_marker_ttl=MARKER_S
        )
        with suppress(BadRequestError):  # it exists, made by others with settings of their own
            await self._js.create_key_value(config)

    # --- watching ----------------------------------------------------------------------------------------------------
    async def watch(self, on_change: OnChange) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone).

        Raises:
            BusUnavailable: JetStream is not available.
        """
        self._on_change = on_change
        try:
            async with asyncio.timeout(_FIRST_ANNOUNCEMENT_S):
                await self._consume()
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"the registry at {self._bus.url} cannot be read: {_reason(error)}") from error
        self._run_once("registry-watch", self._watch_for_ever)

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""
        return self._leases.snapshot()

    async def _watch_for_ever(self) -> None:
        while not self._is_closed:  # nats-py may swallow a cancellation
            await asyncio.sleep(_RETRY_S)
            now = self._loop.time()
            if not self._bus.is_connected:
                self._leases.renew_all(now)  # nobody can be heard: nobody's silence counts
                continue
            for name in self._leases.expire(now):
                self._tell(name, None)
            if self._is_stale or now - self._heard_at > _SILENT_BEATS * self._heartbeat_s:
                try:
                    await self._consume()
                except (NatsError, TimeoutError) as error:
                    _LOG.debug("registry not readable", reason=_reason(error))

    async def _consume(self) -> None:
        """A fresh consumer: first the last word of each worker, then everything new."""
        self._is_stale = False
        self._heard_at = self._loop.time()
        try:
            old, self._consumer = self._consumer, None
            if old is not None:
                await old.unsubscribe()
            try:
                self._consumer = await self._subscribe()
            except NotFoundError:
                await self._make_bucket()
                self._consumer = await self._subscribe()
        except BaseException:
            self._is_stale = True
            raise

    async def _subscribe(self) -> JetStreamContext.PushSubscription:
        """Not nats-py's `ordered_consumer`: it resumes by sequence, which means nothing after the storage is wiped."""
        subscribe: Callable[..., Awaitable[JetStreamContext.PushSubscription]] = self._js.subscribe
        return await subscribe(
            f"$KV.{BUCKET}.>",
            stream=f"KV_{BUCKET}",
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
        name = WorkerName(msg.subject.rpartition(".")[2])
        headers = msg.headers or {}
        if headers.get("Nats-Marker-Reason") == "MaxAge":
            # The server counts while it is down. Who was alive when it went gets until the end of our own lease.
            if self._leases.silent_for_s(name, now) >= self._ttl_s - self._heartbeat_s:
                self._gone(name)
        elif "KV-Operation" in headers or "Nats-Marker-Reason" in headers or not msg.data:
            self._gone(name)
        else:
            self._announced(name, msg.data, now)

    def _announced(self, name: WorkerName, data: bytes, now: float) -> None:
        try:
            announcement = _announcement_of(name, data)
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

    # --- both --------------------------------------------------------------------------------------------------------
    def _reconnected(self) -> None:
        self._is_stale = True
        self._wake.set()

    def _run_once(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        if all(task.get_name() != name for task in self._tasks):
            self._tasks.append(asyncio.ensure_future(run()))
            self._tasks[-1].set_name(name)

    async def close(self) -> None:
        """Withdraw what was announced and stop watching."""
        for name in tuple(self._said):
            await self.withdraw(name)
        self._is_closed = True
        self._on_change = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._consumer is not None and self._bus.is_connected:
            with suppress(NatsError):
                await self._consumer.unsubscribe()


def _subject(announcement: Announcement) -> str:
    return f"$KV.{BUCKET}.{announcement.kind}.{announcement.name}"


def _announcement_of(name: WorkerName, data: bytes) -> Announcement:
    announcement = decode_announcement(data)
    if announcement.name != name:
        raise MalformedMessage(f"it calls itself {announcement.name}")
    return announcement


def _reason(error: Exception) -> str:
    return str(error).removeprefix("nats: ") or type(error).__name__
