"""`POST /offer`: sessions over WebRTC, with sound as Opus and a data channel `events` for the JSON of a WebSocket."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from adapters.transport.counters import CONNECTIONS
from adapters.transport.ticker import Ticker
from adapters.transport.webrtc_link import WebRtcLimits, WebRtcLink
from protocol.codec import decode_client
from protocol.conversation import OpenSession, ResumeSession, SessionOpened
from protocol.errors import MalformedMessage, Refused
from protocol.ports import Conversation, ConversationHost

_SECTIONS: Final = "an offer has one section of sound and one for the data channel"

log = structlog.get_logger()


class WebRtcDoor:
    """Serves `POST /offer`."""

    def __init__(
        self,
        host: ConversationHost,
        ticker: Ticker,
        limits: WebRtcLimits | None = None,
        *,
        ice_servers: Sequence[str] = (),
    ) -> None:
        self._host = host
        self._ticker = ticker
        self._limits = limits or WebRtcLimits()
        self._configuration = RTCConfiguration([RTCIceServer(url) for url in ice_servers])
        self._links: set[WebRtcLink] = set()

    async def serve(self, request: web.Request) -> web.Response:
        """An offer; the answer is complete, with all candidates.

        Raises:
            MalformedMessage: the body is no offer.
            Refused: too many connections, or by the host.
        """
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(reason="An offer is JSON: send Content-Type: application/json.")
        offer, first = parse_offer(await request.read(), self._limits)
        if len(self._links) >= self._limits.connections:
            raise Refused("too-many-connections", "This gateway has no room for another connection; try later.")
        answer, opened = await self._answer(offer, first)
        body = {"sdp": answer.sdp, "type": answer.type, "session": opened.session, "token": opened.token}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _answer(
        self, offer: RTCSessionDescription, first: OpenSession | ResumeSession
    ) -> tuple[RTCSessionDescription, SessionOpened]:
        connection = RTCPeerConnection(self._configuration)
        link = WebRtcLink(connection, self._ticker, self._limits)
        self._admit(connection, link)
        try:
            await _describe(connection, link, offer)
            conversation, opened = await self._greet(first, link)
            try:
                await self._gather(connection)
            except BaseException:
                conversation.detach(link)
                raise
        except BaseException:
            await link.end()
            raise
        link.begin(conversation, opened)
        return connection.localDescription, opened

    def _admit(self, connection: RTCPeerConnection, link: WebRtcLink) -> None:
        self._links.add(link)
        CONNECTIONS.labels("webrtc").set(len(self._links))

        def forget() -> None:
            if connection.connectionState == "closed":
                self._links.discard(link)
                CONNECTIONS.labels("webrtc").set(len(self._links))

        connection.on("connectionstatechange", forget)

    async def _greet(self, first: OpenSession | ResumeSession, link: WebRtcLink) -> tuple[Conversation, SessionOpened]:
        if isinstance(first, ResumeSession):
            return await self._host.resume(first.session, first.token, link)
        return await self._host.open(first.config, link)

    async def _gather(self, connection: RTCPeerConnection) -> None:
        try:
            async with asyncio.timeout(self._limits.gather_s):
                await connection.setLocalDescription(await connection.createAnswer())
        except TimeoutError as error:
            raise Refused("not-ready", "The gateway found no network address in time; try again.") from error

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*(link.end() for link in list(self._links)), return_exceptions=True)


def parse_offer(body: bytes, limits: WebRtcLimits) -> tuple[RTCSessionDescription, OpenSession | ResumeSession]:
    """What a client posts: its description, and what else would be the first message over a WebSocket.

    Raises:
        MalformedMessage: it is something else.
    """
    try:
        offer: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage("the body is not JSON") from error
    if not isinstance(offer, dict) or not isinstance(offer.get("sdp"), str) or offer.get("type") != "offer":
        raise MalformedMessage('the body has to be {"type": "offer", "sdp": …}')
    if not 1 <= offer["sdp"].count("\nm=") <= limits.media:
        raise MalformedMessage(_SECTIONS)
    if offer.get("session") is not None:
        first: dict[str, Any] = {"type": "resume", "session": offer["session"], "token": offer.get("token")}
    else:
        first = {"type": "open", "config": offer.get("config") or {}}
    message = decode_client(orjson.dumps(first))
    if not isinstance(message, OpenSession | ResumeSession):
        raise MalformedMessage("neither open nor resume")
    return RTCSessionDescription(sdp=offer["sdp"], type="offer"), message


async def _describe(connection: RTCPeerConnection, link: WebRtcLink, offer: RTCSessionDescription) -> None:
    """Take the client's description; whatever aiortc cannot make sense of is the client's fault."""
    link.take(connection.addTransceiver("audio", direction="sendrecv"))
    try:
        await connection.setRemoteDescription(offer)
    except Exception as error:
        log.info("an offer could not be understood", error=type(error).__name__)
        raise MalformedMessage("the offer's description cannot be understood") from error
    if [t.kind for t in connection.getTransceivers()] != ["audio"] or connection.sctp is None:
        raise MalformedMessage(_SECTIONS)
