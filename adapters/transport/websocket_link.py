"""One WebSocket connection, as its session sees it. On the loop."""

import asyncio
import socket as sockets
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, web

from adapters.transport import wsframes
from adapters.transport.counters import DISCONNECTED, STALLS
from adapters.transport.ticker import PERIOD_S
from protocol.audio import pack
from protocol.codec import encode
from protocol.conversation import CommandRefused
from protocol.message import Message
from protocol.ports import Conversation

LEAD_FRAMES: Final = 3
"""A client gets at most this many frames (60 ms) ahead of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketLimits:
    """What one client may ask of us.

    Attributes:
        first_message_s: in which it must have sent `open` or `resume`.
        heartbeat_s: between our pings; one that is not answered within half of it ends the connection.
        message_bytes: the largest message; a larger one closes with 1009.
        faults: malformed messages until the connection is closed with 1008.
        unsent_frames: speech frames that may wait in the socket; more of them wait in the gate.
        unsent_bytes: of everything that waits in the socket, until the client counts as gone.
        stalled_s: for which a client may not read, until it counts as gone.
        connections: open at once.
    """

    first_message_s: float = 5.0
    heartbeat_s: float = 10.0
    message_bytes: int = 65_536
    faults: int = 20
    unsent_frames: int = 5
    unsent_bytes: int = 262_144
    stalled_s: float = 10.0
    connections: int = 512


class WebSocketLink:
    """One connection. Implements `protocol.ports.ClientLink`. On the loop."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, limits: WebSocketLimits) -> None:
        self._socket = socket
        self._transport = transport
        self._limits = limits
        self._unsent_speech = limits.unsent_frames * 2_000
        self._conversation: Conversation | None = None
        self._early: list[Message] = []
        self._supplied_until = 0
        self._stalled_since: int | None = None
        self._closing: asyncio.Task[bool] | None = None

    # --- as the session sees it --------------------------------------------------------------------------------------
    def tell(self, message: Message) -> None:
        """Send an event or a gate command, after `opened`. A client that does not read is disconnected."""
        if self._conversation is None:
            self._early.append(message)
        else:
            self._write(wsframes.text(encode(message)))

    def disconnect(self, reason: str) -> None:
        """End the connection."""
        self.close(WSCloseCode.OK, reason)

    # --- as the door sees it -----------------------------------------------------------------------------------------
    def begin(self, conversation: Conversation, opened: Message) -> None:
        """The session is there: say so, then what it has said meanwhile."""
        self._conversation = conversation
        self.tell(opened)
        early, self._early = self._early, []
        for message in early:
            self.tell(message)

    def refuse(self, code: str, reason: str) -> None:
        """Say why something was not done."""
        self._write(wsframes.text(encode(CommandRefused(code=code, reason=reason[:1_000]))))

    def close(self, code: int, reason: str) -> None:
        """Close, with a reason for the client; cut the connection if the client does not answer that."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> bool:
        message = reason.encode()[:120].decode(errors="ignore").encode()
        closed = await self._socket.close(code=code, message=message)
        self._transport.close()
        return closed

    def cut(self, why: str) -> None:
        """End the connection without a word: the client does not read."""
        DISCONNECTED.labels("websocket", why).inc()
        self._transport.abort()

    @property
    def ended_here(self) -> bool:
        """Whether it was we who ended the connection."""
        return self._closing is not None

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be said."""
        return self.ended_here or self._transport.is_closing()

    async def closed(self) -> None:
        """Wait for the closing handshake, if one is under way."""
        if self._closing is not None:
            await self._closing

    def tick(self, now: int) -> None:
        """Send what keeps the client supplied until 60 ms from now, unless it does not read."""
        if self._conversation is None or self.is_closing or self._is_stalled(now):
            return
        self._supplied_until = max(self._supplied_until, now)
        while self._supplied_until < now + LEAD_FRAMES:
            frame = self._conversation.pull()
            if frame is None:
                return
            self._supplied_until += 1
            self._transport.write(wsframes.binary(pack(frame)))

    def _is_stalled(self, now: int) -> bool:
        if self._transport.get_write_buffer_size() <= self._unsent_speech:
            self._stalled_since = None
            return False
        if self._stalled_since is None:
            self._stalled_since = now
            STALLS.labels("websocket").inc()
        if (now - self._stalled_since) * PERIOD_S > self._limits.stalled_s:
            self.cut("stalled")
        return True

    def _write(self, data: bytes) -> None:
        if self.is_closing:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._limits.unsent_bytes:
            self.cut("unread")


def bound_send_buffer(transport: asyncio.Transport) -> None:
    """Keep what a slow client has not read with us, where it can be seen and held, and not in the kernel."""
    socket = transport.get_extra_info("socket")
    if socket is not None:
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 65_536)
