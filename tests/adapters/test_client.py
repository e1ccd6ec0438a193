"""The client's WebSocket, against the gateway's real doors and against servers that are none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, web

from adapters.transport.client import WebSocketConnection, websocket_url
from adapters.transport.http import make_app
from protocol.audio import Frame
from protocol.conversation import (
    Accepted,
    CloseSession,
    OpenSession,
    ResumeSession,
    Say,
    SessionConfig,
    SessionOpened,
    StateChanged,
)
from protocol.errors import GatewayUnavailable, Refused
from protocol.ids import SessionId
from protocol.message import Message
from tests.fakes.host import FakeHost

PAGE = Path(__file__).resolve().parents[2] / "adapters" / "web"
OPEN = OpenSession()


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_gateway(host: FakeHost, *, api_key: str | None = None) -> AsyncIterator[str]:
    async with serving(make_app(host, page_dir=PAGE, api_key=api_key)) as url:
        yield url


@asynccontextmanager
async def a_server(talk: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    """A WebSocket server that does what it likes, after the client's first message."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await talk(socket)
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    async with serving(app) as url:
        yield url


async def next_of(connection: WebSocketConnection) -> Message | Frame:
    async with asyncio.timeout(5):
        return await anext(aiter(connection.received()))


async def test_sound_and_commands_go_up_and_frames_and_answers_come_down() -> None:
    host = FakeHost(echo=True)
    async with a_gateway(host) as url:
        connection, opened = await WebSocketConnection.open(url, OpenSession(config=SessionConfig(voice="one")))
        assert isinstance(opened, SessionOpened)
        assert host.configs == [SessionConfig(voice="one")]
        await connection.hear(b"\x01\x02" * 320)
        frame = await next_of(connection)
        assert isinstance(frame, Frame)
        assert frame.pcm[:6] == b"\x01\x02" * 3
        await connection.tell(Say(text="Hello."))
        assert isinstance(await next_of(connection), Accepted)
        assert host.only.commands == [Say(text="Hello.")]
        await connection.close()
        await connection.close()


async def test_what_the_session_says_before_its_client_knows_it_is_not_lost() -> None:
    host = FakeHost()
    host.early = [StateChanged(session=SessionId("s"), state="LISTENING")]
    async with a_gateway(host) as url:
        connection, _ = await WebSocketConnection.open(url, OPEN)
        assert await next_of(connection) == host.early[0]
        await connection.close()


async def test_a_session_is_come_back_to() -> None:
    async with a_gateway(FakeHost()) as url:
        first, opened = await WebSocketConnection.open(url, OPEN)
        again = ResumeSession(session=opened.session, token=opened.token)
        second, resumed = await WebSocketConnection.open(url, again)
        assert resumed.resumed
        with pytest.raises(GatewayUnavailable, match="another client"):
            await next_of(first)
        await first.close()
        await second.close()


async def test_a_refusal_has_its_code_and_reason() -> None:
    async with a_gateway(FakeHost(max_sessions=0)) as url:
        with pytest.raises(Refused) as refused:
            await WebSocketConnection.open(url, OPEN)
        assert refused.value.code == "too-many-sessions"


async def test_the_key_is_shown_and_a_wrong_one_is_refused() -> None:
    async with a_gateway(FakeHost(), api_key="right") as url:
        connection, _ = await WebSocketConnection.open(url, OPEN, key="right")
        await connection.close()
        with pytest.raises(Refused) as refused:
            await WebSocketConnection.open(url, OPEN, key="wrong")
        assert refused.value.code == "unauthorized"
        assert "wrong" not in str(refused.value)


async def test_what_is_told_to_a_lost_connection_is_dropped() -> None:
    async with a_gateway(FakeHost()) as url:
        connection, _ = await WebSocketConnection.open(url, OPEN)
        await connection.close()
        await connection.hear(bytes(640))
        await connection.tell(CloseSession())


async def test_nobody_there_is_told_with_the_url() -> None:
    with pytest.raises(GatewayUnavailable, match=r"127\.0\.0\.1:9 .*antiphon up"):
        await WebSocketConnection.open("http://127.0.0.1:9", OPEN)


async def test_a_web_server_that_is_no_gateway_is_told() -> None:
    async with serving(web.Application()) as url:
        with pytest.raises(GatewayUnavailable, match="no Antiphon gateway"):
            await WebSocketConnection.open(url, OPEN)


async def test_a_server_in_trouble_may_be_tried_again() -> None:
    async def unavailable(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/ws", unavailable)
    async with serving(app) as url:
        with pytest.raises(GatewayUnavailable, match="503"):
            await WebSocketConnection.open(url, OPEN)


@pytest.mark.parametrize("answer", ["nonsense", "{}", '{"type":"opened"}'])
async def test_an_answer_that_is_none_of_ours_is_told(answer: str) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str(answer)

    async with a_server(talk) as url:
        with pytest.raises(GatewayUnavailable, match="does not understand"):
            await WebSocketConnection.open(url, OPEN)


async def test_a_server_that_hangs_up_at_once_is_told() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.close()

    async with a_server(talk) as url:
        with pytest.raises(GatewayUnavailable, match="hung up"):
            await WebSocketConnection.open(url, OPEN)


_OPENED = '{"type":"opened","session":"s","token":"0123456789abcdef","config":{}}'


async def test_a_frame_that_is_none_ends_the_call() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str(_OPENED)
        await socket.send_bytes(b"nonsense")
        await socket.receive()

    async with a_server(talk) as url:
        connection, _ = await WebSocketConnection.open(url, OPEN)
        with pytest.raises(GatewayUnavailable, match="frame"):
            await next_of(connection)
        await connection.close()


@pytest.mark.parametrize(("code", "goodbye"), [(WSCloseCode.OK, True), (WSCloseCode.GOING_AWAY, False)])
async def test_only_a_goodbye_is_no_lost_connection(code: WSCloseCode, *, goodbye: bool) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str(_OPENED)
        await socket.close(code=code)

    async with a_server(talk) as url:
        connection, _ = await WebSocketConnection.open(url, OPEN)
        with pytest.raises(GatewayUnavailable if goodbye else StopAsyncIteration):
            await next_of(connection)
        await connection.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8700", "ws://127.0.0.1:8700/ws"),
        ("http://127.0.0.1:8700/", "ws://127.0.0.1:8700/ws"),
        ("https://voice.example", "wss://voice.example/ws"),
        ("https://voice.example/antiphon/", "wss://voice.example/antiphon/ws"),
        ("ws://voice.example/ws", "ws://voice.example/ws"),
        ("voice.example:8700", "ws://voice.example:8700/ws"),
        ("http://voice.example/?key=k", "ws://voice.example/ws?key=k"),
    ],
)
def test_the_address_of_the_websocket_follows_from_the_gateways(url: str, expected: str) -> None:
    assert websocket_url(url) == expected


@pytest.mark.parametrize("url", ["ftp://voice.example", "http://", "file:///tmp/x", ""])
async def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(GatewayUnavailable, match="not a URL"):
        await WebSocketConnection.open(url, OPEN)
