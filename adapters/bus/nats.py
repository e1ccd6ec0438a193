"""The bus over NATS (`protocol.ports.Bus`)."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit, urlunsplit

import structlog
from nats.aio.client import DEFAULT_INBOX_PREFIX
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, SlowConsumerError, UnexpectedEOF

from adapters.bus import metrics
from adapters.bus.inbox import FrameInbox, MessageInbox, guarded
from adapters.bus.nats_client import ResilientClient
from adapters.bus.outbox import Outbox
from adapters.bus.watchdog import Watchdog
from protocol import audio, codec
from protocol.audio import Frame
from protocol.errors import BusUnavailable, MalformedMessage
from protocol.ids import UnixMicros
from protocol.message import Message
from protocol.ports import OnFrame, OnMessage, Subscription
from protocol.subjects import Subject

_LOG = structlog.get_logger(__name__)

_FIRST_CONNECT_S: Final = 5.0
_SUBSCRIBE_S: Final = 5.0
_CLOSE_S: Final = 1.0
_BEHIND_BYTES: Final = 16_384
_BEHIND_S: Final = 0.1
_FULL_BYTES: Final = 1 << 20
"""nats-py makes a publisher wait at 2 MiB; we never let it come to that."""
_RETRY_FULL_S: Final = 0.005
_OUTAGE_S: Final = 0.1
_SETTLE_S: Final = 0.25
"""After an outage longer than the first (a restart of the server, not a change to its neighbour), what was kept waits
this long: our peers come back within 100 ms of us, and a message sent before a peer has subscribed again is lost."""


class NatsBus:
    """Messages and frames over one NATS connection, which comes back after every fault until it is closed.

    Everything runs on the loop. What is published goes to the socket in the loop's next round at the latest.
    """

    def __init__(self, client: ResilientClient, urls: Sequence[str]) -> None:
        self._client = client
        self._urls = [redacted(url) for url in urls]
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox()
        self._sender: asyncio.Task[None] | None = None
        self._open = asyncio.Event()
        self._opening: asyncio.TimerHandle | None = None
        self._on_reconnect: list[Callable[[], None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._denied: list[str] = []
        self._clear_at = 0.0
        self._lost_at = 0.0
        self._is_closing = False
        self._watchdog: Watchdog | None = None

    @classmethod
    async def connect(
        cls,
        urls: str | Sequence[str],
        *,
        name: str,
        credentials_file: str | None = None,
        nkey_seed: str | None = None,
        inbox_prefix: str = DEFAULT_INBOX_PREFIX.decode(),
    ) -> Self:
        """A connected bus. User, password or token may stand in the URL.

        Args:
            urls: of one server, or of several of a cluster.
            name: what `nats server report connections` shows.
            credentials_file: a JWT and its seed.
            nkey_seed: a seed alone.
            inbox_prefix: where replies come, when the role may read no other.

        Raises:
            BusUnavailable: no server answers there, or it refuses us; said within 5 s.
        """
        seeds = [urls] if isinstance(urls, str) else list(urls)
        client = ResilientClient()
        bus = cls(client, seeds)
        last_error: list[Exception] = []

        async def remember(error: Exception) -> None:
            last_error.append(error)

        try:
            async with asyncio.timeout(_FIRST_CONNECT_S):
                await client.connect(
                    seeds,
                    name=name,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0.1,  # type: ignore[arg-type]  # nats-py sleeps that long: a float is fine
                    connect_timeout=1,
                    ping_interval=30,  # the watchdog asks far more often
                    flusher_queue_size=4096,
                    error_cb=remember,
                    disconnected_cb=bus._disconnected,
                    reconnected_cb=bus._reconnected,
                    inbox_prefix=inbox_prefix,
                    user_credentials=credentials_file,
                    nkeys_seed_str=nkey_seed,
                )
        except (OSError, NatsError, TimeoutError, ValueError) as error:
            client.abort()
            raise BusUnavailable(_first_failure(bus._urls, last_error, error)) from error
        client._error_cb = bus._failed  # noqa: SLF001  # nats-py takes it at connect only; until now errors are raised
        client.reconnect_for_ever()
        client.forget_server_choice(seeds)
        bus._begin()
        return bus

    def _begin(self) -> None:
        self._open.set()
        metrics.CONNECTED.set(1)
        self._watchdog = Watchdog(self._client, on_half_open=lambda: metrics.ERRORS.labels("half-open").inc())

    @property
    def client(self) -> ResilientClient:
        """The connection itself, for other adapters (JetStream)."""
        return self._client

    @property
    def url(self) -> str:
        """Where it connects to, without credentials."""
        return ", ".join(self._urls)

    @property
    def is_connected(self) -> bool:
        """Whether what is published now has a chance to arrive."""
        return self._client.is_connected and not self._is_closing

    # --- sending -----------------------------------------------------------------------------------------------------
    def publish(self, subject: Subject, message: Message) -> None:
        """Send a message, or keep it for 5 s while the connection is down. One that is too large is dropped, loudly."""
        self._send(codec.subject_for(subject, message) if subject.endswith("*") else subject, message)

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        """Send a frame, or drop it (False) when the connection is down, or has not moved for 100 ms."""
        if not self.is_connected or self._is_behind():
            metrics.DROPPED.labels("frame-sent").inc()
            return False
        return self._send_now(subject, audio.pack(frame))

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        """Send a message and return the decoded reply.

        Raises:
            BusUnavailable: nobody answered in time, or nobody listens.
            MalformedMessage: the answer is no message of ours.
        """
        where = codec.subject_for(subject, message) if subject.endswith("*") else subject
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_sendable()
                answer = await self._client.request(where, _encoded(message), timeout=timeout_s)
        except NoRespondersError as error:
            raise BusUnavailable(f"nobody listens on {where}") from error
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"no answer on {where} within {timeout_s:g} s") from error
        return codec.decode_reply(answer.data)

    def _send(self, subject: str, message: Message) -> None:
        try:
            data = _encoded(message)
        except MalformedMessage as error:
            metrics.DROPPED.labels("message-too-large").inc()
            _LOG.error("message not sent", subject=subject, reason=str(error))  # never its text
            return
        if self._can_send() and not self._outbox:
            self._send_now(subject, data)
            return
        self._outbox.put(subject, data, self._loop.time())
        if self._sender is None and not self._is_closing:
            self._sender = self._loop.create_task(self._send_outbox(), name="nats-outbox")

    def _send_now(self, subject: str, data: bytes) -> bool:
        try:
            _at_once(self._client.publish(subject, data))
        except NatsError as error:  # it closes, or its buffer is full
            metrics.DROPPED.labels("refused-by-client").inc()
            _LOG.warning("not sent", subject=subject, reason=str(error))
            return False
        return True

    def _can_send(self) -> bool:
        return self._open.is_set() and self._client.is_connected and self._client.pending_data_size < _FULL_BYTES

    def _is_behind(self) -> bool:
        """Whether nats-py has had more than a few frames waiting for the socket for 100 ms."""
        pending = self._client.pending_data_size
        if pending == 0:
            self._clear_at = self._loop.time()
            return False
        if pending >= _FULL_BYTES:
            return True
        return pending > _BEHIND_BYTES and self._loop.time() - self._clear_at > _BEHIND_S

    async def _until_sendable(self) -> None:
        """Until the connection is up and what was published before is on its way."""
        while not self._can_send() or self._outbox:
            await self._open.wait()
            await asyncio.sleep(_RETRY_FULL_S)

    async def _send_outbox(self) -> None:
        """Send what waits, in order, as soon as the connection takes it; ends when nothing waits."""
        while self._outbox:
            await self._open.wait()
            if self._can_send():
                self._send_waiting()
            else:
                await asyncio.sleep(_RETRY_FULL_S)
        self._sender = None

    def _send_waiting(self) -> None:
        while self._can_send() and (letter := self._outbox.take(self._loop.time())) is not None:
            self._send_now(letter.subject, letter.data)
        if dropped := self._outbox.take_dropped():
            metrics.DROPPED.labels("message-stale").inc(dropped)
            _LOG.warning("stale messages dropped", count=dropped)

    # --- receiving ---------------------------------------------------------------------------------------------------
    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each well-formed message. Survives reconnections.

        Raises:
            BusUnavailable: the server does not know of it within 5 s, or does not allow it.
        """
        inbox = MessageInbox(on_message, self._send)
        return await self._tied(inbox, pattern, queue)

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        """Call `on_frame` for each well-formed frame. Survives reconnections.

        Raises:
            BusUnavailable: the server does not know of it within 5 s, or does not allow it.
        """
        return await self._tied(FrameInbox(on_frame, depth), pattern, "")

    async def _tied(self, inbox: MessageInbox | FrameInbox, pattern: str, queue: str) -> Subscription:
        try:
            async with asyncio.timeout(_SUBSCRIBE_S):
                await self._until_sendable()
                subscription = await self._client.subscribe(pattern, queue=queue, cb=inbox.deliver)
                inbox.lifeline.tie(subscription, self._end)
                await self._client.flush()
        except (NatsError, TimeoutError) as error:
            inbox.lifeline.cancel()
            raise BusUnavailable(f"cannot subscribe to {pattern} at {self.url}") from error
        if any(f'subscription to "{pattern}"' in denied for denied in self._denied):
            inbox.lifeline.cancel()
            raise BusUnavailable(f"{self.url} does not allow us to subscribe to {pattern}")
        return inbox.lifeline

    def _end(self, subscription: NatsSubscription) -> None:
        async def unsubscribe() -> None:
            with suppress(NatsError):  # closed or draining: it is ended anyway
                await subscription.unsubscribe()

        task = self._loop.create_task(unsubscribe())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    # --- the connection ----------------------------------------------------------------------------------------------
    def on_reconnect(self, call_back: Callable[[], None]) -> None:
        """Call this on the loop each time the connection is back, after the messages kept meanwhile were sent."""
        self._on_reconnect.append(call_back)

    async def close(self) -> None:
        """Send what is queued, within a second, and disconnect. Harmless when repeated."""
        if self._is_closing:
            return
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=_CLOSE_S)
        self._is_closing = True
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._sender is not None:
            self._sender.cancel()
        try:
            async with asyncio.timeout(_CLOSE_S):
                if self._client.is_connected:
                    await self._client.flush()
                await self._client.close()
        except (OSError, NatsError, TimeoutError):
            self._client.abort()
            with suppress(OSError, NatsError, TimeoutError):
                await asyncio.wait_for(self._client.close(), _CLOSE_S)
        metrics.CONNECTED.set(0)

    async def _disconnected(self) -> None:
        self._open.clear()
        if self._opening is not None:
            self._opening.cancel()
        metrics.CONNECTED.set(0)
        if not self._is_closing:
            self._lost_at = self._loop.time()
            _LOG.warning("bus lost", url=self.url)

    async def _reconnected(self) -> None:
        """nats-py awaits this before it does anything else: it must not wait."""
        outage_s = self._loop.time() - self._lost_at
        metrics.CONNECTED.set(1)
        metrics.RECONNECTS.inc()
        self._denied.clear()
        _LOG.info("bus back", url=self.url, after_s=round(outage_s, 3))
        self._opening = self._loop.call_later(_SETTLE_S if outage_s > _OUTAGE_S else 0.0, self._reopen)

    def _reopen(self) -> None:
        self._open.set()
        self._send_waiting()
        for call_back in self._on_reconnect:
            guarded(call_back)

    async def _failed(self, error: Exception) -> None:
        """What nats-py tells of; a rejected publish or subscription is told nowhere else."""
        text = str(error)
        if "permissions violation" in text.lower():
            self._denied = [*self._denied[-99:], text.lower()]
            metrics.ERRORS.labels("permission").inc()
            _LOG.error("bus refused us", reason=text)
        elif isinstance(error, SlowConsumerError):
            metrics.DROPPED.labels("slow-subscription").inc()
            _LOG.warning("subscription too slow", subject=error.subject)
        else:
            metrics.ERRORS.labels(type(error).__name__).inc()
            # An EOF is told as "bus lost"; the attempts to reconnect fail ten times a second.
            is_news = self._client.is_connected and not isinstance(error, UnexpectedEOF)
            _LOG.log(logging.WARNING if is_news else logging.DEBUG, "bus error", kind=type(error).__name__, reason=text)


def _encoded(message: Message) -> bytes:
    return codec.encode(message, sent_at=UnixMicros(time.time_ns() // 1_000))


def _at_once(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that has nothing to wait for.

    `Client.publish` only waits beyond 2 MiB of pending data, and `_can_send` and `_is_behind` stop long before.

    Raises:
        RuntimeError: it wanted to wait after all; it is abandoned.
    """
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("nats-py waits in publish")


def redacted(url: str) -> str:
    """Without user, password or token."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    if "@" in parts.netloc:
        parts = parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2])
    return urlunsplit(parts)


def _first_failure(urls: Sequence[str], seen: Sequence[Exception], error: Exception) -> str:
    cause = seen[-1] if seen else error
    reason = str(cause).removeprefix("nats: ").strip("'") or type(cause).__name__
    if isinstance(cause, OSError) and cause.errno:
        reason = os.strerror(cause.errno)
    if isinstance(cause, TimeoutError) and not cause.args:
        reason = "no answer"
    return f"NATS is not available at {', '.join(urls)}: {reason}"
