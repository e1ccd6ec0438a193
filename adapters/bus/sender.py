"""What leaves a process by NATS: control messages in order and with patience, frames now or never."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog
from nats.errors import Error as NatsError

from adapters.bus import metrics
from adapters.bus.nats_client import ResilientClient
from adapters.bus.outbox import Outbox

_LOG = structlog.get_logger(__name__)

_BEHIND_BYTES: Final = 16_384
_BEHIND_S: Final = 0.1
_FULL_BYTES: Final = 1 << 20
"""nats-py makes a publisher wait at 2 MiB; we never let it come to that."""
_RETRY_S: Final = 0.005


class Sender:
    """Hands bytes to nats-py without ever waiting. Everything runs on the loop.

    While it is shut (there is no connection, or our peers are not back yet), or when nats-py has a lot to do, messages
    wait in the outbox, and what comes after them waits behind them.
    """

    def __init__(self, client: ResilientClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox()
        self._open = asyncio.Event()
        self._emptying: asyncio.Task[None] | None = None
        self._is_closed = False
        self._clear_at = 0.0

    def open(self) -> None:
        """Send what waits, and from now on at once."""
        self._open.set()
        self._send_waiting()

    def shut(self) -> None:
        """Keep messages from now on."""
        self._open.clear()

    def send(self, subject: str, data: bytes) -> None:
        """A control message: now, or as soon as the connection takes it."""
        if self._is_closed:
            return
        if self._is_free() and not self._outbox:
            self._send_now(subject, data)
            return
        self._outbox.put(subject, data, self._loop.time())
        if self._emptying is None:
            self._emptying = self._loop.create_task(self._empty(), name="nats-outbox")

    def send_frame(self, subject: str, data: bytes) -> bool:
        """A frame: now, or never (False)."""
        if self._is_closed or not self._client.is_connected or self._is_behind():
            metrics.DROPPED.labels("frame-sent").inc()
            return False
        return self._send_now(subject, data)

    async def until_free(self) -> None:
        """Until what was sent before is on its way and the next message would be, too."""
        while not self._is_free() or self._outbox:
            await self._open.wait()
            await asyncio.sleep(_RETRY_S)

    async def close(self, *, within_s: float) -> None:
        """Send what waits, if that is possible in this time."""
        if self._emptying is not None:
            await asyncio.wait({self._emptying}, timeout=within_s)
            self._emptying.cancel()
        self._is_closed = True

    async def _empty(self) -> None:
        while self._outbox:
            await self._open.wait()
            self._send_waiting()
            if self._outbox:
                await asyncio.sleep(_RETRY_S)
        self._emptying = None

    def _send_waiting(self) -> None:
        while self._is_free() and (letter := self._outbox.take(self._loop.time())) is not None:
            self._send_now(letter.subject, letter.data)
        if dropped := self._outbox.take_dropped():
            metrics.DROPPED.labels("message-stale").inc(dropped)
            _LOG.warning("stale messages dropped", count=dropped)

    def _is_free(self) -> bool:
        return self._open.is_set() and self._client.is_connected and self._client.pending_data_size < _FULL_BYTES

    def _is_behind(self) -> bool:
        """Whether nats-py has had more than a few frames waiting for the socket for 100 ms."""
        pending = self._client.pending_data_size
        if pending <= _BEHIND_BYTES:
            return False
        return pending >= _FULL_BYTES or self._loop.time() - self._clear_at > _BEHIND_S

    def _send_now(self, subject: str, data: bytes) -> bool:
        if self._client.pending_data_size == 0:
            self._clear_at = self._loop.time()
        try:
            _at_once(self._client.publish(subject, data))
        except NatsError as error:  # it closes, or its buffer is full
            metrics.DROPPED.labels("refused-by-client").inc()
            _LOG.warning("not sent", subject=subject, reason=str(error))
            return False
        return True


def _at_once(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that has nothing to wait for.

    `Client.publish` waits only beyond 2 MiB of pending data, and `_FULL_BYTES` stops long before.

    Raises:
        RuntimeError: it wanted to wait after all; it is abandoned.
    """
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("nats-py waits in publish")
