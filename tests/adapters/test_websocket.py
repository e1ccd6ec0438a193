import asyncio

import aiohttp
import pytest

from adapters.transport.websocket_link import WebSocketLimits
from protocol.audio import Flags
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CloseSession,
    CommandRefused,
    Flush,
    Hold,
    Interrupt,
    Release,
    Say,
    SessionConfig,
    StateChanged,
)
from protocol.errors import Refused
from protocol.ids import Samples, SessionId, TurnId
from tests.adapters.serving import served
from tests.clients.websocket import WebSocketClient
from tests.fakes.host import FakeHost
from tests.fakes.speech import ONE, a_frame, frames

FRAME = bytes(640)


async def closed(client: WebSocketClient) -> int | None:
    """The code with which the server ends the connection."""
    async with asyncio.timeout(5):
        await client._reader
    return client.socket.close_code


async def test_a_client_opens_a_session_and_is_heard_frame_by_frame() -> None:
    host = FakeHost()
    config = SessionConfig(voice="heart", barge_in="words")
    async with served(host) as url, await WebSocketClient.open(url, config, microphone=False) as client:
        sent = [bytes([i]) * 640 for i in range(5)]
        for pcm in sent:
            await client.socket.send_bytes(pcm)
        conversation = host.only
        await host.until(lambda: len(conversation.heard) == 5 or None)
        assert conversation.heard == sent
        assert client.session == conversation.session
        assert host.configs == [config]


async def test_speech_arrives_whole_and_in_order() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        source = frames(12)
        host.only.say(source)
        received = await client.whole_turn(1)
        assert [r.frame for r in received] == source


async def test_speech_leaves_at_most_60_ms_ahead_of_time() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        host.only.say(frames(15))
        received = await client.whole_turn(1)
        begin = received[0].at
        for index, one in enumerate(received):
            ahead_s = index * 0.02 - (one.at - begin)
            assert ahead_s < 0.06 + 0.005, "a frame came more than three frames early"


async def test_gate_commands_keep_their_place_among_the_frames() -> None:
    host = FakeHost()
    async with served(host) as url, aiohttp.ClientSession() as http, http.ws_connect(f"{url}/ws") as socket:
        await socket.send_str('{"type":"open"}')
        kinds = [(await socket.receive(timeout=5)).type]
        conversation = host.only
        session, link = conversation.session, conversation.link
        assert link is not None
        conversation.say([a_frame(0)])
        kinds.append((await socket.receive(timeout=5)).type)
        link.tell(Hold(session=session, turn=ONE))
        link.tell(Release(session=session, turn=ONE))
        conversation.say([a_frame(1)])
        link.tell(Flush(session=session, turn=ONE))
        kinds += [(await socket.receive(timeout=5)).type for _ in range(4)]
        text, binary = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY
        assert kinds == [text, binary, text, text, text, binary]


async def test_what_a_session_says_early_comes_after_opened() -> None:
    host = FakeHost()
    host.early = [StateChanged(session=SessionId("early"), state="LISTENING")]
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        await client.event(StateChanged)
        assert [type(t.message).__name__ for t in client.told] == ["SessionOpened", "StateChanged"]


async def test_commands_are_answered_and_positions_are_not() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        await client.tell(ClientPlayout(turn=TurnId(1), played=Samples(960)))
        await client.say("hello")
        await client.tell(Interrupt())
        refused = await client.event(CommandRefused)
        assert refused.code == "nothing-to-interrupt"
        assert len(client.events(Accepted)) == 1
        assert [type(c) for c in host.only.commands] == [ClientPlayout, Say, Interrupt]


async def test_sound_of_another_size_is_refused_with_a_reason_and_the_session_goes_on() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        await client.socket.send_bytes(bytes(641))
        refused = await client.event(CommandRefused)
        assert "641" in refused.reason
        await client.socket.send_bytes(FRAME)
        await host.until(lambda: host.only.heard or None)


@pytest.mark.parametrize("junk", ["{", "[]", '{"type":"sing"}', '{"type":"say"}', '{"type":"open"}x', "\x00"])
async def test_a_message_that_is_none_is_refused_and_the_session_goes_on(junk: str) -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        await client.socket.send_str(junk)
        assert (await client.event(CommandRefused)).code == "malformed"
        await client.say("still here")
        await client.event(Accepted)


async def test_who_sends_nothing_but_junk_is_disconnected() -> None:
    host = FakeHost()
    async with served(host, websocket_limits=WebSocketLimits(faults=5)) as url:
        client = await WebSocketClient.open(url, microphone=False)
        for _ in range(5):
            await client.socket.send_bytes(b"x")
        assert await closed(client) == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert len(client.events(CommandRefused)) == 5
        await client.close()
        await host.until(lambda: host.only.detached or None)


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebSocketClient.open(url, microphone=False)
        await client.socket.send_bytes(bytes(70_000))
        assert await closed(client) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        await client.close()


async def test_who_says_nothing_is_disconnected() -> None:
    host = FakeHost()
    async with served(host, websocket_limits=WebSocketLimits(first_message_s=0.05)) as url:
        client = await WebSocketClient.connect(url)
        assert (await client.event(CommandRefused)).code == "no-open"
        assert await closed(client) == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert not host.conversations
        await client.close()


@pytest.mark.parametrize("first", ['{"type":"say","text":"hi"}', "{", '{"type":"open","config":{"voise":"heart"}}'])
async def test_the_first_message_has_to_open_a_session(first: str) -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebSocketClient.connect(url)
        await client.socket.send_str(first)
        assert (await client.event(CommandRefused)).code == "malformed"
        assert await closed(client) == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert not host.conversations
        await client.close()


async def test_sound_before_a_session_is_refused() -> None:
    async with served(FakeHost()) as url:
        client = await WebSocketClient.connect(url)
        await client.socket.send_bytes(FRAME)
        assert (await client.event(CommandRefused)).code == "malformed"
        await client.close()


async def test_one_session_too_many_is_refused_with_a_reason() -> None:
    async with (
        served(FakeHost(max_sessions=1)) as url,
        await WebSocketClient.open(url, microphone=False),
    ):
        with pytest.raises(Refused, match="too-many-sessions"):
            await WebSocketClient.open(url, microphone=False)


async def test_a_connection_too_many_is_refused_before_the_handshake() -> None:
    async with served(FakeHost(), websocket_limits=WebSocketLimits(connections=0)) as url:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await WebSocketClient.connect(url)
        assert refused.value.status == 503


async def test_a_wrong_key_is_refused_before_the_handshake() -> None:
    async with served(FakeHost(), api_key="right") as url:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await WebSocketClient.connect(url, key="wrong")
        assert refused.value.status == 401
        async with await WebSocketClient.open(url, key="right", microphone=False):
            pass


async def test_a_lost_connection_comes_back_to_its_session() -> None:
    host = FakeHost()
    async with served(host) as url:
        lost = await WebSocketClient.open(url, microphone=False)
        conversation = host.only
        assert lost.socket._response.connection is not None
        assert lost.socket._response.connection.transport is not None
        lost.socket._response.connection.transport.abort()
        await host.until(lambda: conversation.detached or None)
        assert CloseSession() not in conversation.commands
        async with await WebSocketClient.open(url, resume=lost.opened, microphone=False) as client:
            assert client.opened.resumed
            assert client.session == lost.session
            conversation.say(frames(3))
            assert len(await client.whole_turn(1)) == 3
        await lost.close()


async def test_a_wrong_token_does_not_come_back() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        wrong = type(client.opened)(session=client.session, token="x" * 32, config=SessionConfig())
        with pytest.raises(Refused, match="no-such-session"):
            await WebSocketClient.open(url, resume=wrong, microphone=False)


async def test_a_client_that_says_goodbye_ends_its_session() -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebSocketClient.open(url, microphone=False)
        conversation = host.only
        await client.close()
        await host.until(lambda: conversation.detached or None)
        assert [type(c) for c in conversation.commands] == [CloseSession]


async def test_the_session_can_end_the_connection() -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebSocketClient.open(url, microphone=False)
        await client.tell(CloseSession())
        assert await closed(client) == aiohttp.WSCloseCode.OK
        assert len(client.events(Accepted)) <= 1
        await client.close()


async def test_speech_for_a_client_that_does_not_read_waits_in_the_gate() -> None:
    host = FakeHost()
    limits = WebSocketLimits(stalled_s=0.2)
    async with served(host, websocket_limits=limits) as url:
        client = await WebSocketClient.open(url, microphone=False)
        conversation = host.only
        assert client.socket._response.connection is not None
        transport = client.socket._response.connection.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        enough = 2_000
        conversation.say(a_frame(i) for i in range(enough))
        link = conversation.link
        assert link is not None
        while not conversation.detached:
            # Events fill the socket faster than speech would.
            link.tell(StateChanged(session=conversation.session, state="SPEAKING"))
            await asyncio.sleep(0)
        assert len(conversation.to_say) > enough // 2, "speech was poured into a socket that nobody reads"
        transport.abort()
        await client.close()


async def test_the_end_of_the_gateway_is_told() -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebSocketClient.open(url, microphone=False)
    assert await closed(client) == aiohttp.WSCloseCode.GOING_AWAY
    await client.close()


async def test_a_fade_is_marked_as_comfort() -> None:
    host = FakeHost()
    async with served(host) as url, await WebSocketClient.open(url, microphone=False) as client:
        host.only.say([a_frame(0, flags=Flags.COMFORT)])
        await client.until(lambda: client.received or None)
        assert not client.received[0].is_speech
