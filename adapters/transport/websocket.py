"""`/ws`: sessions over WebSockets, JSON text for commands and events, binary for 20 ms of sound (docs/protocol.md)."""

import asyncio

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from adapters.transport.counters import CONNECTIONS, DISCONNECTED, MALFORMED
from adapters.transport.ticker import Ticker
from adapters.transport.websocket_link import WebSocketLimits, WebSocketLink, bound_send_buffer
from protocol.codec import decode_client
from protocol.conversation import Accepted, ClientPlayout, CloseSession, OpenSession, ResumeSession, SessionOpened
from protocol.errors import MalformedMessage, Refused
from protocol.ports import Conversation, ConversationHost

log = structlog.get_logger()


class WebSocketDoor:
    """Serves `/ws`."""

    def __init__(self, host: ConversationHost, ticker: Ticker, limits: WebSocketLimits | None = None) -> None:
        self._host = host
        self._ticker = ticker
        self._limits = limits or WebSocketLimits()
        self._links: set[WebSocketLink] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from the handshake to its end.

        Raises:
            Refused: when there are too many connections.
        """
        if len(self._links) >= self._limits.connections:
            raise Refused("too-many-connections", "This gateway has no room for another connection; try later.")
        limits = self._limits
        socket = web.WebSocketResponse(
            heartbeat=limits.heartbeat_s, max_msg_size=limits.message_bytes, compress=False, timeout=1.0
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket  # gone already
        bound_send_buffer(transport)
        link = WebSocketLink(socket, transport, limits)
        self._links.add(link)
        CONNECTIONS.labels("websocket").set(len(self._links))
        try:
            await self._converse(socket, link)
        finally:
            self._links.discard(link)
            CONNECTIONS.labels("websocket").set(len(self._links))
            await link.closed()
        return socket

    async def _converse(self, socket: web.WebSocketResponse, link: WebSocketLink) -> None:
        try:
            async with asyncio.timeout(self._limits.first_message_s):
                first = await socket.receive()
            conversation, opened = await self._greet(first, link)
        except TimeoutError:
            link.refuse("no-open", f"No open or resume came within {self._limits.first_message_s:g} s.")
            link.close(WSCloseCode.POLICY_VIOLATION, "no open or resume in time")
            return
        except Refused as refused:
            link.refuse(refused.code, refused.reason)
            link.close(WSCloseCode.TRY_AGAIN_LATER, refused.code)
            return
        except MalformedMessage as error:
            MALFORMED.labels("websocket", "open").inc()
            link.refuse("malformed", str(error))
            link.close(WSCloseCode.POLICY_VIOLATION, "malformed")
            return
        link.begin(conversation, opened)
        leave = self._ticker.join(link.tick)
        try:
            await _Reader(conversation, link, self._limits).read(socket)
        finally:
            leave()
            conversation.detach(link)

    async def _greet(self, first: WSMessage, link: WebSocketLink) -> tuple[Conversation, SessionOpened]:
        if first.type is not WSMsgType.TEXT:
            raise MalformedMessage("the first message has to be open or resume, as text")
        match decode_client(first.data):
            case OpenSession(config=config):
                return await self._host.open(config, link)
            case ResumeSession(session=session, token=token):
                return await self._host.resume(session, token, link)
            case _:
                raise MalformedMessage("the first message has to be open or resume")

    async def close(self) -> None:
        """End all connections."""
        links = list(self._links)
        for link in links:
            link.close(WSCloseCode.GOING_AWAY, "the gateway is shutting down")
        await asyncio.gather(*(link.closed() for link in links), return_exceptions=True)


class _Reader:
    """Takes what a client sends, until the connection ends."""

    def __init__(self, conversation: Conversation, link: WebSocketLink, limits: WebSocketLimits) -> None:
        self._conversation = conversation
        self._link = link
        self._limits = limits
        self._faults = 0

    async def read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            try:
                self._take(message)
            except MalformedMessage as error:
                self._refuse("sound" if message.type is WSMsgType.BINARY else "message", error)
        if socket.close_code == WSCloseCode.OK and not self._link.ended_here:
            # A lost connection waits for its client to come back; one that says goodbye does not.
            self._conversation.command(CloseSession())

    def _take(self, message: WSMessage) -> None:
        match message.type:
            case WSMsgType.BINARY:
                self._conversation.hear(message.data)
            case WSMsgType.TEXT:
                command = decode_client(message.data)
                answer = self._conversation.command(command)
                if not (isinstance(command, ClientPlayout) and isinstance(answer, Accepted)):
                    self._link.tell(answer)
            case _:
                log.debug("websocket ends", kind=message.type.name)

    def _refuse(self, what: str, error: MalformedMessage) -> None:
        MALFORMED.labels("websocket", what).inc()
        self._faults += 1
        self._link.refuse("malformed", str(error))
        if self._faults >= self._limits.faults:
            DISCONNECTED.labels("websocket", "malformed").inc()
            self._link.close(WSCloseCode.POLICY_VIOLATION, "too many malformed messages")
