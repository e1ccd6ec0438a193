"""nats-py's client with cures for the ways in which it goes deaf (seen in 2.16).

Only what cannot be cured from outside is overridden here, and each method says what it cures.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import PING_PROTO, Client
from nats.errors import Error as NatsError


class ResilientClient(Client):
    """A client that reconnects after any fault until it is closed by its owner."""

    async def _process_err(self, err_msg: str) -> None:
        """Cure: an error it does not know, such as 'Slow Consumer', closed the connection for good."""
        text = err_msg.strip().strip("'")
        if "permissions violation" in text.lower():
            await super()._process_err(err_msg)
            return
        error = NatsError(f"nats: {text}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _send_ping(self, future: "asyncio.Future[Any] | None" = None) -> None:
        """Cure: PING overtook what was written before it, so that `flush` returned before a SUB had left."""
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _process_pong(self) -> None:
        """Cure: a PONG for a ping that nobody awaits any more raised InvalidStateError and ended the reading task."""
        if not self._pongs:
            return
        waiting = self._pongs.pop(0)
        if not waiting.done():
            waiting.set_result(True)
        self._pongs_received += 1
        self._pings_outstanding = 0

    async def _read_loop(self) -> None:
        """Cure: after an unexpected exception the reading task ended, and the client stayed "connected" and deaf."""
        await super()._read_loop()
        if self.is_connected and not self.is_draining:
            await self._process_op_err(ConnectionResetError("nothing reads the connection any more"))

    async def _connect_to_server(self, s: Any) -> None:
        """Cure: an attempt at a server that accepts and says nothing left its socket open, one for each attempt."""
        self.abort()
        await super()._connect_to_server(s)

    def abort(self) -> None:
        """Drop the connection without waiting for the peer; reconnecting follows.

        Cure: closing a connection waits until its buffer is sent, which on a half-open one is never.
        """
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def reconnect_for_ever(self, urls: list[str], on_error: Callable[[Exception], Awaitable[None]]) -> None:
        """From now on; the first connection has to fail fast instead.

        All of `urls` are candidates again: a first connection that failed at one of them struck it off.
        """
        options: dict[str, Any] = self.options
        options["allow_reconnect"] = True
        options["max_reconnect_attempts"] = -1
        self.set_server_pool(urls)
        self._error_cb = on_error
