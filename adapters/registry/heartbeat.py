"""Says again and again that a worker lives."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext
from nats.js.errors import NoStreamResponseError

from adapters.bus.nats import NatsBus
from adapters.registry.bucket import MARKER_S, in_words, make_bucket, subject_of
from protocol.codec import encode_announcement
from protocol.errors import BusUnavailable
from protocol.ids import WorkerName
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)

_FIRST_WITHIN_S: Final = 5.0
_RETRY_S: Final = 0.25
_TAKEN_WITHIN_S: Final = 2.0


class Heartbeat:
    """Writes the announcements of this process, each with a time to live. Everything runs on the loop.

    A bucket that is gone, with the server's disk, is made anew.
    """

    def __init__(self, bus: NatsBus, js: JetStreamContext, *, every_s: float, ttl_s: int, replicas: int) -> None:
        self._bus = bus
        self._js = js
        self._every_s = every_s
        self._ttl_s = ttl_s
        self._replicas = replicas
        self._said: dict[WorkerName, Announcement] = {}
        self._changed: set[WorkerName] = set()
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._doubts_bucket = False
        """A bucket that is missing is told by nobody's answer, but not while an observer listens to everything."""
        bus.on_reconnect(self._say_all)

    async def announce(self, announcement: Announcement) -> None:
        """Say this now and by heartbeat.

        Raises:
            BusUnavailable: the first time only: nothing was taken for 5 s.
        """
        is_first = announcement.name not in self._said
        self._said[announcement.name] = announcement
        if is_first:
            await self._announce_first(announcement.name)
        else:
            self._changed.add(announcement.name)
            self._wake.set()

    def release(self, name: WorkerName) -> None:
        """Say nothing of it any more: its entry is somebody else's now, or expires."""
        self._said.pop(name, None)

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends. If that cannot be said, its entry expires."""
        announcement = self._said.pop(name, None)
        if announcement is None or not self._bus.is_connected:
            return
        async with self._writing:
            try:
                await self._js.publish(subject_of(announcement), headers={"KV-Operation": "DEL"}, msg_ttl=MARKER_S)
            except (NatsError, TimeoutError) as error:
                _LOG.warning("not withdrawn", worker=name, reason=in_words(error))

    async def close(self) -> None:
        """Withdraw everything."""
        for name in tuple(self._said):
            await self.withdraw(name)
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _announce_first(self, name: WorkerName) -> None:
        deadline = asyncio.get_running_loop().time() + _FIRST_WITHIN_S
        while (error := await self._beat(name)) is not None:
            if asyncio.get_running_loop().time() > deadline:
                self._said.pop(name, None)
                raise BusUnavailable(
                    f"the registry at {self._bus.url} takes no announcement: {in_words(error)}; "
                    "NATS must run with JetStream (see nats.conf)"
                ) from error
            await asyncio.sleep(_RETRY_S)
        if self._task is None:
            self._task = asyncio.create_task(self._beat_for_ever(), name="registry-heartbeat")

    def _say_all(self) -> None:
        self._changed.update(self._said)
        self._wake.set()

    async def _beat_for_ever(self) -> None:
        """A change says what has changed, a heartbeat everything: a bridge announces hundreds that change often."""
        is_failing = False
        loop = asyncio.get_running_loop()
        due = loop.time() + self._every_s
        while not self._is_closed:  # nats-py may swallow a cancellation
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, due - loop.time()))
            self._wake.clear()
            is_due = loop.time() >= due
            names = tuple(self._said if is_due else self._changed)
            self._changed.clear()
            if is_due:
                due = loop.time() + self._every_s
            if not self._bus.is_connected:
                continue
            failures = [error for name in names if (error := await self._beat(name)) is not None]
            if failures and not is_failing:
                _LOG.warning("heartbeat failed", reason=in_words(failures[0]))
            is_failing = bool(failures)

    async def _beat(self, name: WorkerName) -> Exception | None:
        """Say what is to be said of `name` now; what went wrong, if something did."""
        async with self._writing:
            announcement = self._said.get(name)
            if announcement is None:
                return None
            try:
                await self._put(subject_of(announcement), encode_announcement(announcement))
            except (NatsError, TimeoutError) as error:
                self._doubts_bucket = True
                return error
            return None

    async def _put(self, subject: str, data: bytes) -> None:
        if self._doubts_bucket:
            self._doubts_bucket = False
            await make_bucket(self._js, replicas=self._replicas)
        try:
            await self._publish(subject, data)
        except NoStreamResponseError:
            await make_bucket(self._js, replicas=self._replicas)
            await self._publish(subject, data)

    async def _publish(self, subject: str, data: bytes) -> None:
        await self._js.publish(subject, data, timeout=_TAKEN_WITHIN_S, msg_ttl=self._ttl_s)
