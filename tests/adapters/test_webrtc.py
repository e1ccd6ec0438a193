import asyncio
import math
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from adapters.transport.webrtc_link import WebRtcLimits
from protocol.audio import MIC_RATE, SPEECH_FRAME, SPEECH_RATE
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CommandRefused,
    Interrupt,
    Say,
    SessionConfig,
    SessionOpened,
    StateChanged,
)
from protocol.errors import Refused
from protocol.ids import SessionId
from protocol.ports import Pcm
from tests.adapters.serving import served
from tests.clients.sound import Pcm16
from tests.clients.webrtc import WebRtcClient
from tests.fakes.host import FakeConversation, FakeHost
from tests.fakes.speech import frames_of


def tone(hertz: float, seconds: float, rate: int, amplitude: float = 0.3) -> Pcm:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def speech(hertz: float, seconds: float) -> Pcm16:
    return np.rint(tone(hertz, seconds, SPEECH_RATE) * 32767).astype(np.int16)


def pitch(samples: Pcm16, rate: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def loud(samples: Pcm16) -> Pcm16:
    """From the first to the last sample over a tenth of full scale."""
    at = np.flatnonzero(np.abs(samples.astype(int)) > 3_000)
    return samples[at[0] : at[-1] + 1] if len(at) else samples[:0]


async def heard_loud(host: FakeHost, conversation: FakeConversation, seconds: float) -> Pcm16:
    """What was heard of a tone, once so much of it was."""

    def found() -> Pcm16 | None:
        got = loud(conversation.pcm())
        return got if len(got) >= (seconds - 0.01) * MIC_RATE else None

    return await host.until(found, timeout_s=10)


async def test_the_microphone_is_heard_at_16_khz_in_time_and_in_pitch() -> None:
    host = FakeHost()
    async with served(host) as url, await WebRtcClient.open(url) as client:
        client.microphone.say(tone(440, 0.5, MIC_RATE))
        got = await heard_loud(host, host.only, 0.5)
        assert len(got) == pytest.approx(0.5 * MIC_RATE, abs=0.01 * MIC_RATE)
        assert pitch(got, MIC_RATE) == pytest.approx(440, abs=3)
        assert {len(pcm) for pcm in host.only.heard} == {640}


async def test_the_microphone_is_not_kept_waiting_in_a_jitter_buffer() -> None:
    host = FakeHost()
    async with served(host) as url, await WebRtcClient.open(url) as client:
        await client.until(lambda: client.microphone.position > 10 * 320 or None if client.received else None)
        conversation = host.only
        behind = []
        for _ in range(10):
            heard = len(conversation.heard)
            await host.until(lambda heard=heard: len(conversation.heard) > heard or None)  # type: ignore[misc]  # bound at once
            behind.append(len(client.microphone.sent_at) - len(conversation.heard))
        assert min(behind) <= 1, "packets wait for those that follow them"


async def test_speech_is_heard_by_the_client_in_time_and_in_pitch() -> None:
    host = FakeHost()
    async with served(host) as url, await WebRtcClient.open(url) as client:
        source = speech(440, 1.0)
        host.only.say(frames_of(source))
        await client.until(lambda: len(loud(client.heard())) > 0.98 * len(source) or None)
        got = loud(client.heard())
        assert len(got) == pytest.approx(len(source), abs=0.01 * SPEECH_RATE)
        assert pitch(got, SPEECH_RATE) == pytest.approx(440, abs=2)


async def test_silence_is_sent_for_a_while_and_then_only_a_sign_of_life() -> None:
    host = FakeHost()
    async with (
        served(host, webrtc_limits=WebRtcLimits(attentive_s=0.5)) as url,
        await WebRtcClient.open(url) as client,
    ):
        host.only.say(frames_of(speech(440, 0.1)))
        await client.until(lambda: [p for p in client.received if p.payload_bytes == 1] or None)
        mark = len(client.received)
        await client.until(lambda: len(client.received) >= mark + 2 or None)
        assert set(np.diff([p.timestamp for p in client.received[mark - 1 :]])) == {20 * SPEECH_FRAME}
        assert all(p.payload_bytes == 1 for p in client.received[mark:])
        assert not len(loud(client.heard(mark - 20)))


async def test_an_event_lets_silence_be_sent_again() -> None:
    host = FakeHost()
    async with (
        served(host, webrtc_limits=WebRtcLimits(attentive_s=0.1)) as url,
        await WebRtcClient.open(url) as client,
    ):
        await client.until(lambda: [p for p in client.received if p.payload_bytes == 1] or None)
        mark = len(client.received)
        assert host.only.link is not None
        host.only.link.tell(StateChanged(session=host.only.session, state="THINKING"))
        await client.until(lambda: len([p for p in client.received[mark:] if p.payload_bytes > 1]) >= 3 or None)


async def test_speech_after_silence_stands_where_it_belongs_in_time() -> None:
    host = FakeHost()
    async with (
        served(host, webrtc_limits=WebRtcLimits(attentive_s=0.1)) as url,
        await WebRtcClient.open(url) as client,
    ):
        await client.until(lambda: [p for p in client.received if p.payload_bytes == 1] or None)
        mark = len(client.received)
        host.only.say(frames_of(speech(440, 0.2)))
        await client.until(lambda: len(client.received) >= mark + 5 or None)
        before, first = client.received[mark - 1], client.received[mark]
        by_clock = (first.at - before.at) * SPEECH_RATE
        assert (first.timestamp - before.timestamp) % SPEECH_FRAME == 0
        assert first.timestamp - before.timestamp == pytest.approx(by_clock, abs=5 * SPEECH_FRAME)


async def test_a_client_that_needs_it_gets_sound_without_a_break() -> None:
    host = FakeHost()
    async with (
        served(host, webrtc_limits=WebRtcLimits(attentive_s=math.inf)) as url,
        await WebRtcClient.open(url) as client,
    ):
        await client.until(lambda: len(client.received) >= 30 or None)
        assert set(np.diff([p.timestamp for p in client.received])) == {SPEECH_FRAME}


async def test_commands_and_events_travel_on_the_data_channel() -> None:
    host = FakeHost()
    host.early = [StateChanged(session=SessionId("early"), state="LISTENING")]
    async with served(host) as url, await WebRtcClient.open(url, SessionConfig(voice="heart")) as client:
        assert host.configs == [SessionConfig(voice="heart")]
        await client.say("hello")
        await client.event(Accepted)
        await client.tell(Interrupt())
        assert (await client.event(CommandRefused)).code == "nothing-to-interrupt"
        assert [type(t.message) for t in client.told] == [SessionOpened, StateChanged, Accepted, CommandRefused]
        assert [c for c in host.only.commands if isinstance(c, Say)] == [Say(text="hello")]


async def test_junk_on_the_data_channel_is_refused_and_much_of_it_ends_the_connection() -> None:
    host = FakeHost()
    limits = WebRtcLimits(faults=3)
    async with served(host, webrtc_limits=limits) as url, await WebRtcClient.open(url) as client:
        for _ in range(3):
            client._channel.send("{")
        await host.until(lambda: host.only.detached or None)
        assert (await client.event(CommandRefused)).code == "malformed"


async def test_a_client_that_hangs_up_is_missed_and_may_come_back() -> None:
    host = FakeHost()
    async with served(host) as url:
        gone = await WebRtcClient.open(url)
        conversation = host.only
        await gone.vanish()
        await host.until(lambda: conversation.detached or None)
        async with await WebRtcClient.open(url, resume=gone) as client:
            assert (await client.event(SessionOpened)).resumed
            assert client.session == gone.session
            mark = len(client.received)
            conversation.say(frames_of(speech(440, 0.2)))
            await client.until(lambda: len(loud(client.heard(mark))) or None)


async def test_what_a_lost_client_had_heard_is_told_to_its_session() -> None:
    host = FakeHost()
    async with served(host) as url:
        client = await WebRtcClient.open(url)
        conversation = host.only
        conversation.say(frames_of(speech(440, 0.4)))
        await client.until(lambda: len(loud(client.heard())) > 0.3 * SPEECH_RATE or None)
        await client.vanish()
        await host.until(lambda: conversation.detached or None)
        (heard,) = [c for c in conversation.commands if isinstance(c, ClientPlayout)]
        assert heard.turn == 1
        assert 0.2 * SPEECH_RATE < heard.played <= 0.4 * SPEECH_RATE


async def test_one_connection_or_session_too_many_is_refused_with_a_reason() -> None:
    async with served(FakeHost(max_sessions=1)) as url, await WebRtcClient.open(url):
        with pytest.raises(Refused, match="too-many-sessions"):
            await WebRtcClient.open(url)
    async with served(FakeHost(), webrtc_limits=WebRtcLimits(connections=0)) as url:
        with pytest.raises(Refused, match="too-many-connections"):
            await WebRtcClient.open(url)


async def test_a_connection_that_is_over_makes_room_for_another() -> None:
    async with served(FakeHost(), webrtc_limits=WebRtcLimits(connections=1)) as url, aiohttp.ClientSession() as http:
        for _ in range(3):
            assert (await _post(http, url, await _an_offer(channel=False)))["code"] == "malformed"
        for _ in range(2):
            client = await WebRtcClient.open(url)
            await client.close()


async def test_a_client_that_never_connects_frees_its_place() -> None:
    host = FakeHost()
    async with (
        served(host, webrtc_limits=WebRtcLimits(connect_s=0.1)) as url,
        aiohttp.ClientSession() as http,
    ):
        answer = await _post(http, url, await _an_offer())
        conversation = host.conversations[SessionId(answer["session"])]
        await host.until(lambda: conversation.detached or None)


async def test_an_offer_without_a_data_channel_or_with_a_camera_is_refused() -> None:
    host = FakeHost()
    async with served(host) as url, aiohttp.ClientSession() as http:
        assert (await _post(http, url, await _an_offer(channel=False)))["code"] == "malformed"
        assert (await _post(http, url, await _an_offer(video=True)))["code"] == "malformed"
        assert not host.conversations


async def test_only_opus_is_agreed_on() -> None:
    async with served(FakeHost()) as url, aiohttp.ClientSession() as http:
        answer = await _post(http, url, await _an_offer())
        maps = [line for line in answer["sdp"].splitlines() if line.startswith("a=rtpmap:")]
        assert [line.split()[1] for line in maps] == ["opus/48000/2"]


async def test_the_end_of_the_gateway_ends_the_connections() -> None:
    async with served(FakeHost()) as url:
        client = await WebRtcClient.open(url)
        closed = asyncio.Event()
        client.connection.on("connectionstatechange", closed.set)
    async with asyncio.timeout(5):
        await closed.wait()
    assert client.connection.connectionState == "closed"
    await client.close()


async def _an_offer(*, channel: bool = True, video: bool = False) -> dict[str, str]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    if video:
        connection.addTransceiver("video")
    if channel:
        connection.createDataChannel("events")
    await connection.setLocalDescription(await connection.createOffer())
    offer = {"sdp": connection.localDescription.sdp, "type": "offer"}
    await connection.close()
    return offer


async def _post(http: aiohttp.ClientSession, url: str, offer: dict[str, str]) -> dict[str, Any]:
    async with http.post(
        f"{url}/offer", data=orjson.dumps(offer), headers={"Content-Type": "application/json"}
    ) as response:
        answer: dict[str, Any] = await response.json()
        return answer
