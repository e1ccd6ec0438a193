"""The bus over NATS (`protocol.ports.Bus`)."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Self

import structlog
from nats.aio.client import DEFAULT_INBOX_PREFIX
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, SlowConsumerError, UnexpectedEOF

from adapters.bus import metrics, micro
from adapters.bus.first_connection import connect_first, shown
from adapters.bus.inbox import FrameInbox, MessageInbox, guarded
from adapters.bus.micro import MicroService
from adapters.bus.nats_client import ResilientClient
from adapters.bus.sender import Sender
from adapters.bus.tally import Tallies
from adapters.bus.watchdog import Watchdog
from protocol import audio, codec
from protocol.audio import Frame
from protocol.errors import BusUnavailable, MalformedMessage, NobodyListens
from protocol.ids import UnixMicros
from protocol.message import Message
from protocol.ports import OnFrame, OnMessage, Subscription
from protocol.services import Service
from protocol.subjects import Subject

_LOG = structlog.get_logger(__name__)

_SUBSCRIBE_S: Final = 5.0
_CLOSE_S: Final = 1.0
_OUTAGE_S: Final = 0.1
_SETTLE_S: Final = 0.25
"""After an outage longer than the first (a restart of the server, not a change to its neighbour), what was kept waits
this long: our peers come back within 100 ms of us, and a message sent before a peer has subscribed again is lost."""


class NatsBus:
    """Messages and frames over one NATS connection, which comes back after every fault until it is closed.

    Everything runs on the loop. What is published goes to the socket in the loop's next round at the latest.
    """

    def __init__(self, client: ResilientClient, url: str) -> None:
        self._client = client
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._sender = Sender(client)
        self._tallies = Tallies()
        self._opening: asyncio.TimerHandle | None = None
        self._on_reconnect: list[Callable[[], None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._denied: list[str] = []
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
        bus = cls(client, shown(seeds))
        await connect_first(
            client,
            seeds,
            name=name,
            credentials_file=credentials_file,
            nkey_seed=nkey_seed,
            inbox_prefix=inbox_prefix,
            on_lost=bus._lost,
            on_back=bus._back,
            on_error=bus._failed,
        )
        bus._begin()
        return bus

    def _begin(self) -> None:
        self._sender.open()
        metrics.CONNECTED.set(1)
        self._watchdog = Watchdog(self._client, on_half_open=lambda: metrics.ERRORS.labels("half-open").inc())

    @property
    def client(self) -> ResilientClient:
        """The connection itself, for other adapters (JetStream)."""
        return self._client

    @property
    def url(self) -> str:
        """Where it connects to, without credentials."""
        return self._url

    @property
    def is_connected(self) -> bool:
        """Whether what is published now has a chance to arrive."""
        return self._client.is_connected and not self._is_closing

    # --- sending -----------------------------------------------------------------------------------------------------
    def publish(self, subject: Subject, message: Message) -> None:
        """Send a message, or keep it for 5 s while the connection is down. One that is too large is dropped, loudly."""
        self._send(_whole(subject, message), message)

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        """Send a frame, or drop it (False) when the connection is down, or has not moved for 100 ms."""
        return self._sender.send_frame(subject, audio.pack(frame))

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        """Send a message and return the decoded reply.

        Raises:
            BusUnavailable: nobody answered in time, or nobody listens.
            MalformedMessage: the answer is no message of ours.
        """
        where = _whole(subject, message)
        try:
            async with asyncio.timeout(timeout_s):
                await self._sender.until_free()
                answer = await self._client.request(where, _encoded(message), timeout=timeout_s)
        except NoRespondersError as error:
            raise NobodyListens(f"nobody listens on {where}") from error
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
        self._sender.send(subject, data)

    # --- receiving ---------------------------------------------------------------------------------------------------
    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each well-formed message. Survives reconnections.

        Raises:
            BusUnavailable: the server does not know of it within 5 s, or does not allow it.
        """
        return await self._tied(MessageInbox(on_message, self._send, self._tallies), pattern, queue)

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        """Call `on_frame` for each well-formed frame. Survives reconnections.

        Raises:
            BusUnavailable: the server does not know of it within 5 s, or does not allow it.
        """
        return await self._tied(FrameInbox(on_frame, depth), pattern, "")

    async def offer(self, service: Service) -> Subscription:
        """Show a service, and how often its endpoints were asked, to `nats service ls`, `info` and `stats`.

        Raises:
            BusUnavailable: the server does not know of it within 5 s, or does not allow it.
        """
        return await self._tied(MicroService(service, self._tallies, self._sender.send), micro.PATTERN, "")

    async def _tied(self, inbox: MessageInbox | FrameInbox | MicroService, pattern: str, queue: str) -> Subscription:
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(_SUBSCRIBE_S):
                await self._sender.until_free()
                subscription = await self._client.subscribe(pattern, queue=queue, cb=inbox.deliver)
                inbox.lifeline.tie(subscription, self._end)
                await self._client.flush()
        except (NatsError, TimeoutError) as error:
            inbox.lifeline.cancel()
            raise BusUnavailable(f"cannot subscribe to {pattern} at {self._url}") from error
        except asyncio.CancelledError:  # who wanted it has left
            inbox.lifeline.cancel()
            raise
        if task is not None and task.cancelling() > cancelled:  # nats-py keeps that to itself while it writes
            inbox.lifeline.cancel()
            raise asyncio.CancelledError
        if any(f'subscription to "{pattern}"' in denied for denied in self._denied):
            inbox.lifeline.cancel()
            raise BusUnavailable(f"{self._url} does not allow us to subscribe to {pattern}")
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
        await self._sender.close(within_s=_CLOSE_S)
        self._is_closing = True
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._opening is not None:
            self._opening.cancel()
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

    async def _lost(self) -> None:
        self._sender.shut()
        if self._opening is not None:
            self._opening.cancel()
        metrics.CONNECTED.set(0)
        if not self._is_closing:
            self._lost_at = self._loop.time()
            _LOG.warning("bus lost", url=self._url)

    async def _back(self) -> None:
        """nats-py awaits this before it does anything else: it must not wait."""
        outage_s = self._loop.time() - self._lost_at
        metrics.CONNECTED.set(1)
        metrics.RECONNECTS.inc()
        self._denied.clear()
        _LOG.info("bus back", url=self._url, after_s=round(outage_s, 3))
        self._opening = self._loop.call_later(_SETTLE_S if outage_s > _OUTAGE_S else 0.0, self._reopen)

    def _reopen(self) -> None:
        self._sender.open()
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


def _whole(subject: Subject, message: Message) -> Subject:
    return codec.subject_for(subject, message) if subject.endswith("*") else subject


def _encoded(message: Message) -> bytes:
    return codec.encode(message, sent_at=UnixMicros(time.time_ns() // 1_000))
