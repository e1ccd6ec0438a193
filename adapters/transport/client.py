"""The client's side of `/ws`: one connection to a gateway, for programs that talk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from protocol import audio, codec
from protocol.audio import Frame
from protocol.conversation import CommandRefused, OpenSession, ResumeSession, SessionOpened
from protocol.errors import GatewayUnavailable, MalformedMessage, Refused
from protocol.message import Message

_CONNECT_S: Final = 5.0
_GREET_S: Final = 20.0
"""A session opens at once; a voice that must be loaded first takes a while."""
_CLOSE_S: Final = 1.0
_HEARTBEAT_S: Final = 5.0
_UNAUTHORIZED: Final = {401, 403}
_SERVER_ERROR: Final = 500


class WebSocketConnection:
    """One session's connection. Implements `protocol.ports.GatewayConnection`."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket
        self._early: list[Message] = []
        self._hanging_up = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, first: OpenSession | ResumeSession, *, key: str = "") -> tuple[Self, SessionOpened]:
        """Connect to a gateway (`http://host:port`) and open a session, or come back to one.

        Raises:
            GatewayUnavailable: nobody answers there, or not as a gateway does.
            Refused: the key is wrong, or the session was not granted.
        """
        connection = await cls._connect(url, key)
        try:
            return connection, await connection.greet(url, first)
        except BaseException:
            await connection.close()
            raise

    @classmethod
    async def _connect(cls, url: str, key: str) -> Self:
        address = websocket_url(url)
        http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S),
        )
        try:
            socket = await http.ws_connect(
                address,
                heartbeat=_HEARTBEAT_S,
                max_msg_size=codec.MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            await http.close()
            if error.status in _UNAUTHORIZED:
                raise Refused("unauthorized", f"{url} asks for an API key: --key or ANTIPHON_KEY") from error
            if error.status >= _SERVER_ERROR:
                raise GatewayUnavailable(f"{url} cannot serve anybody now (HTTP {error.status})") from error
            raise GatewayUnavailable(f"{url} is no Antiphon gateway (HTTP {error.status} for /ws)") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            await http.close()
            raise GatewayUnavailable(
                f"no gateway answers at {url} ({_reason(error)}); start one with `antiphon up`"
            ) from error
        except BaseException:
            await http.close()
            raise
        return cls(http, socket)

    async def greet(self, url: str, first: OpenSession | ResumeSession) -> SessionOpened:
        """Say the first message and return the answer. An event that overtakes it is kept for `received`.

        Raises:
            GatewayUnavailable: no answer, or none of a gateway.
            Refused: the session was not granted.
        """
        await self.tell(first)
        try:
            async with asyncio.timeout(_GREET_S):
                while True:
                    match answer := _decoded(await self._next_text(url)):
                        case SessionOpened():
                            return answer
                        case CommandRefused(code=code, reason=reason):
                            raise Refused(code, reason)
                    self._early.append(answer)
        except TimeoutError as error:
            raise GatewayUnavailable(f"{url} did not answer within {_GREET_S:g} s") from error

    async def _next_text(self, url: str) -> str:
        answer = await self._socket.receive()
        if answer.type is not aiohttp.WSMsgType.TEXT:
            raise GatewayUnavailable(f"{url} hung up without an answer")
        return str(answer.data)

    async def hear(self, pcm: bytes) -> None:
        """Send the next 20 ms of the microphone; dropped when the connection is lost."""
        with suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_bytes(pcm)

    async def tell(self, message: Message) -> None:
        """Send a command; dropped when the connection is lost."""
        with suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_str(codec.encode(message).decode())

    async def received(self) -> AsyncIterator[Message | Frame]:
        """Events, gate commands and frames; ends when the connection does.

        Raises:
            GatewayUnavailable: what came is not what a gateway sends, or the gateway said goodbye: there is nothing to
                come back to.
        """
        for early in self._early:
            yield early
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                yield _unpacked(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                yield _decoded(message.data)
        if self._socket.close_code == aiohttp.WSCloseCode.OK:
            raise GatewayUnavailable("the gateway ended the connection; perhaps another client has taken over")

    async def close(self) -> None:
        """Hang up, so that what was told before arrives; harmless when repeated, and at the same time too."""
        async with self._hanging_up:  # dropping the connection under another one's goodbye would lose it
            with suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
                await self._socket.close()
            await self._http.close()


def websocket_url(url: str) -> str:
    """`http://host:port` → `ws://host:port/ws`; a path in front stays.

    Raises:
        GatewayUnavailable: it is no URL of a gateway.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.hostname:
        raise GatewayUnavailable(f"{url!r} is not a URL such as http://127.0.0.1:8700")
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit((schemes[parts.scheme], parts.netloc, path, parts.query, ""))


def _decoded(data: str) -> Message:
    try:
        return codec.decode_server(data)
    except MalformedMessage as error:
        raise GatewayUnavailable(f"the gateway sent what this client does not understand: {error}") from error


def _unpacked(data: bytes) -> Frame:
    try:
        return audio.unpack(data)
    except MalformedMessage as error:
        raise GatewayUnavailable(f"the gateway sent a frame that is none: {error}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause = getattr(error, "os_error", None) or error
    return (getattr(cause, "strerror", None) or str(cause) or type(error).__name__).lower()
