"""A WebRTC client as a browser would be, with the times at which packets leave and arrive.

All times are `time.monotonic()` seconds, which processes of one machine share. Received sound is decoded packet by
packet as it arrives, before any jitter buffer: what is measured is the server and the way, not this client.
"""

import asyncio
import contextlib
import fractions
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import av
import numpy as np
import orjson
import soxr
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from protocol.audio import FRAME_MS, MIC_FRAME, MIC_RATE, SPEECH_RATE
from protocol.codec import encode
from protocol.conversation import CloseSession, Say, SessionClosed, SessionConfig, SessionOpened
from protocol.errors import Refused
from protocol.ids import SessionId
from protocol.message import Message
from protocol.ports import Pcm
from tests.clients.inbox import Inbox
from tests.clients.sound import Pcm16

_FRAME_S: Final = FRAME_MS / 1000
_PACKET: Final = SPEECH_RATE * FRAME_MS // 1000
_TIME_BASE: Final = fractions.Fraction(1, SPEECH_RATE)


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet of speech.

    Attributes:
        at: when it came.
        timestamp: its RTP timestamp at 48 kHz, counted from the first packet's; a jump is time that nothing was sent.
        samples: its sound, mono at 48 kHz, decoded with the state that the packets before it left.
        payload_bytes: its Opus packet's size; 1 or 2 mark discontinuous transmission.
    """

    at: float
    sequence: int
    timestamp: int
    samples: Pcm16
    payload_bytes: int


class _ArrivalTap(JitterBuffer):
    """Decodes each packet as it arrives and hands nothing to aiortc's own decoder."""

    def __init__(self, on_packet: Callable[[Packet], None]) -> None:
        super().__init__(capacity=16)
        self._on_packet = on_packet
        self._first: int | None = None
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._decoder.format = "s16"
        self._decoder.layout = "mono"
        self._decoder.sample_rate = SPEECH_RATE

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Called by aiortc for each packet, in the order of arrival."""
        at = time.monotonic()
        if self._first is None:
            self._first = packet.timestamp
        decoded = self._decoder.decode(av.Packet(packet.payload))
        samples = np.concatenate([f.to_ndarray().reshape(-1) for f in decoded]) if decoded else np.zeros(0, np.int16)
        timestamp = (packet.timestamp - self._first) & 0xFFFFFFFF
        self._on_packet(Packet(at, packet.sequence_number, timestamp, samples, len(packet.payload)))
        return False, None


class Microphone(MediaStreamTrack):
    """Sends 20 ms each 20 ms on a grid of its own that does not drift: what is to be said, or silence."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._to_say = np.zeros(0, np.int16)
        self._begin = 0.0
        self.sent_at: list[float] = []
        """When each frame was handed to the encoder, which takes well under a millisecond."""

    def say(self, pcm: Pcm) -> int:
        """Say this (16 kHz) as soon as what was given before is said; returns the position of its first sample."""
        first = self.position + len(self._to_say) // (SPEECH_RATE // MIC_RATE)
        loud = soxr.resample(np.asarray(pcm, np.float32), MIC_RATE, SPEECH_RATE)
        self._to_say = np.concatenate([self._to_say, np.rint(np.clip(loud, -1.0, 1.0) * 32767).astype(np.int16)])
        return first

    def left_at(self, position: int) -> float:
        """When the frame with this sample (16 kHz) left."""
        return self.sent_at[position // MIC_FRAME]

    @property
    def position(self) -> int:
        """The first sample (16 kHz) that has not left."""
        return len(self.sent_at) * MIC_FRAME

    async def recv(self) -> av.AudioFrame:
        """Called by aiortc's sender, again as soon as it has sent the last one."""
        if self.readyState != "live":
            raise MediaStreamError
        if not self.sent_at:
            self._begin = time.monotonic()
        await asyncio.sleep(self._begin + len(self.sent_at) * _FRAME_S - time.monotonic())
        samples = np.zeros(_PACKET, np.int16)
        said = self._to_say[:_PACKET]
        samples[: len(said)] = said
        self._to_say = self._to_say[_PACKET:]
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SPEECH_RATE
        frame.pts = len(self.sent_at) * _PACKET
        frame.time_base = _TIME_BASE
        self.sent_at.append(time.monotonic())
        return frame


class WebRtcClient(Inbox):
    """One peer connection, one session."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        super().__init__()
        self._http = http
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.received: list[Packet] = []
        self.answer: dict[str, str] = {}
        self._channel: RTCDataChannel = self.connection.createDataChannel("events")
        self._channel.on("message", self._on_told)
        self._channel.on("close", self._arrived.set)
        transceiver = self.connection.addTransceiver(self.microphone, direction="sendrecv")
        tap = _ArrivalTap(self._on_packet)
        assert hasattr(transceiver.receiver, "_RTCRtpReceiver__jitter_buffer"), "this aiortc is built differently"
        transceiver.receiver._RTCRtpReceiver__jitter_buffer = tap

    @classmethod
    async def open(
        cls,
        url: str,
        config: SessionConfig | None = None,
        *,
        resume: "WebRtcClient | None" = None,
        key: str | None = None,
        timeout_s: float = 10.0,
    ) -> Self:
        """Connect to `http://host:port` and open a session, or come back to the one that `resume` had.

        Returns once the data channel has brought `SessionOpened`.

        Raises:
            Refused: with the server's code and reason.
        """
        client = cls(aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"} if key else {}))
        try:
            await client._negotiate(url, config, resume)
            await client.event(SessionOpened, timeout_s=timeout_s)
        except BaseException:
            await client.close()
            raise
        return client

    async def _negotiate(self, url: str, config: SessionConfig | None, resume: "WebRtcClient | None") -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        local = self.connection.localDescription
        body: dict[str, Any] = {"sdp": local.sdp, "type": local.type}
        if resume is not None:
            body |= {"session": resume.answer["session"], "token": resume.answer["token"]}
        if config is not None:
            body["config"] = config
        async with self._http.post(
            f"{url.rstrip('/')}/offer", data=orjson.dumps(body), headers={"Content-Type": "application/json"}
        ) as response:
            answer = await response.json()
            if response.status != 200:
                raise Refused(answer["code"], answer["reason"])
        self.answer = answer
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))

    @property
    def session(self) -> SessionId:
        """The id that the gateway gave."""
        return SessionId(self.answer["session"])

    async def tell(self, message: Message) -> None:
        """Send a command."""
        self._channel.send(encode(message).decode())

    async def say(self, text: str) -> None:
        """Have this text spoken as a turn."""
        await self.tell(Say(text=text))

    def heard(self, since: int = 0) -> Pcm16:
        """What was received from packet number `since` on, on the sender's time line: what was not sent is silence."""
        packets = self.received[since:]
        if not packets:
            return np.zeros(0, np.int16)
        origin = packets[0].timestamp
        line = np.zeros(max(p.timestamp - origin + len(p.samples) for p in packets), np.int16)
        for packet in packets:
            at = packet.timestamp - origin
            line[at : at + len(packet.samples)] = packet.samples
        return line

    async def close(self) -> None:
        """Say goodbye and hang up: the session ends."""
        if self._channel.readyState == "open" and not self.events(SessionClosed):
            await self.tell(CloseSession())
            with contextlib.suppress(TimeoutError):  # the server is gone, and with it the session
                await self.until(lambda: self._channel.readyState != "open" or self.events(SessionClosed) or None, 1.0)
        await self.vanish()

    async def vanish(self) -> None:
        """Be gone without a goodbye: the session waits for its client to come back."""
        self.microphone.stop()
        await self.connection.close()
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _on_packet(self, packet: Packet) -> None:
        self.received.append(packet)
        self._arrived.set()

    def _standing(self) -> str:
        here = f"{len(self.received)} packets, connection {self.connection.connectionState}"
        return f"{here}, {super()._standing()}"
