"""The directory of sessions in a NATS key-value bucket (`protocol.ports.SessionDirectory`)."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError, NotFoundError

from adapters.bus.nats import NatsBus
from adapters.registry import metrics
from adapters.registry.backlog import Backlog, Due
from adapters.registry.bucket import MARKER_S, in_words, make_bucket
from protocol.codec import decode_session, encode_session
from protocol.directory import SessionEntry
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import SessionId

_LOG = structlog.get_logger(__name__)

BUCKET: Final = "sessions"
TTL_S: Final = 60
"""How long the sessions of a gateway that was killed are still told. Whole seconds: NATS counts no finer."""
RENEW_S: Final = 20.0
PAUSE_S: Final = 1.0
"""Between two entries of one session: what changes faster is told as it is by then."""
_CALL_S: Final = 1.0
_READ_S: Final = 5.0
_CLOSE_S: Final = 1.0
_RETRY_S: Final = (1.0, 60.0)
"""The first pause after a failure, doubled by each further one, and the longest."""


class NatsSessions:
    """One task writes for all sessions of this process, each entry with a time to live. Everything runs on the loop.

    Nothing is written while the connection is down; once it is back, all that is known is, whatever the server forgot.
    """

    def __init__(
        self,
        bus: NatsBus,
        *,
        ttl_s: int = TTL_S,
        renew_s: float = RENEW_S,
        pause_s: float = PAUSE_S,
        replicas: int = 1,
    ) -> None:
        self._bus = bus
        self._js = bus.client.jetstream(timeout=_CALL_S)
        self._loop = asyncio.get_running_loop()
        self._ttl_s = ttl_s
        self._replicas = replicas
        self._backlog = Backlog(pause_s=pause_s, renew_s=renew_s)
        self._failures = 0
        self._retry_at = 0.0
        self._doubts_bucket = False
        """A bucket that is missing is told by nobody's answer, but not while an observer listens to everything."""
        self._wake = asyncio.Event()
        self._is_closed = False
        self._task = self._loop.create_task(self._write_for_ever(), name="sessions-directory")
        bus.on_reconnect(self._write_all_again)

    def write(self, entry: SessionEntry) -> None:
        """Say this of a session, soon, and that it lives, until it is removed. Of several, the newest is said."""
        self._backlog.put(entry, self._loop.time())
        self._wake.set()

    def remove(self, session: SessionId) -> None:
        """It is over. Harmless for one that was never written."""
        self._backlog.remove(session)
        self._wake.set()

    async def entries(self) -> Sequence[SessionEntry]:
        """All open sessions, the oldest first.

        Raises:
            BusUnavailable: they cannot be read.
        """
        try:
            async with asyncio.timeout(_READ_S):
                found = await self._read()
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(
                f"the sessions at {self._bus.url} cannot be read: {in_words(error)}; NATS must run with JetStream"
            ) from error
        return sorted(found, key=lambda entry: (entry.opened_at, entry.session))

    async def close(self) -> None:
        """Remove what was written here, and write nothing more."""
        if self._is_closed:
            return
        self._is_closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._backlog.remove_all()
        self._retry_at = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._write_due()

    # --- writing -----------------------------------------------------------------------------------------------------
    async def _write_for_ever(self) -> None:
        while not self._is_closed:  # nats-py may swallow a cancellation: nothing is waited for after it has written
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle_s()):
                    await self._wake.wait()
            self._wake.clear()
            await self._write_due()

    def _idle_s(self) -> float | None:
        """None: until something happens, such as that the connection is back."""
        due = self._backlog.next_due()
        if due is None or not self._bus.is_connected:
            return None
        return max(0.0, max(due, self._retry_at) - self._loop.time())

    def _write_all_again(self) -> None:
        self._retry_at = 0.0
        self._backlog.put_all_again(self._loop.time())
        self._wake.set()

    async def _write_due(self) -> None:
        now = self._loop.time()
        if not self._bus.is_connected or now < self._retry_at:
            return
        left = deque(self._backlog.take(now))
        try:
            while left:
                await self._put(left[0])
                left.popleft()
                self._failures = 0
        except (NatsError, TimeoutError, OSError) as error:
            self._failed(error)
        finally:
            self._backlog.give_back(left, self._loop.time())

    def _failed(self, error: Exception) -> None:
        metrics.SESSIONS_NOT_WRITTEN.inc()
        if self._failures == 0:
            _LOG.warning("sessions are not told", bucket=BUCKET, reason=in_words(error))
        first_s, longest_s = _RETRY_S
        self._retry_at = self._loop.time() + min(longest_s, first_s * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._doubts_bucket = True

    async def _put(self, what: Due) -> None:
        if self._doubts_bucket:
            self._doubts_bucket = False
            with suppress(NatsError, TimeoutError):  # who may not make it may write, once somebody else has
                await self._make_bucket()
        try:
            await self._publish(what)
        except NoStreamResponseError:
            await self._make_bucket()
            await self._publish(what)

    async def _make_bucket(self) -> None:
        await make_bucket(self._js, replicas=self._replicas, bucket=BUCKET)

    async def _publish(self, what: Due) -> None:
        session, entry = what
        subject = f"$KV.{BUCKET}.{session}"
        if entry is None:
            await self._js.publish(subject, headers={"KV-Operation": "DEL"}, msg_ttl=MARKER_S)
        else:
            await self._js.publish(subject, encode_session(entry), msg_ttl=self._ttl_s)

    # --- reading -----------------------------------------------------------------------------------------------------
    async def _read(self) -> list[SessionEntry]:
        """By a consumer that lives as long as this: one that is kept may fall silent when a server restarts."""
        try:
            bucket = await self._js.key_value(BUCKET)
        except NotFoundError:
            return []  # no gateway has told of any yet
        found = []
        watcher = await bucket.watchall(ignore_deletes=True, inactive_threshold=_READ_S)
        try:
            async for entry in watcher:
                if entry is None:
                    break
                if entry.value:
                    found.append((entry.key, entry.value))
        finally:
            await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py
        return [told for key, data in found if (told := _entry_of(key, data)) is not None]


def _entry_of(key: str, data: bytes) -> SessionEntry | None:
    """What was written there; None if that is no entry, or another session's."""
    try:
        entry = decode_session(data)
    except MalformedMessage as error:
        _LOG.warning("malformed session entry", session=key[:64], reason=str(error))
        return None
    return entry if entry.session == key else None
