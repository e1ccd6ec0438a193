"""The two directions of sound of one WebRTC connection. On the loop.

aiortc's own way in is a jitter buffer of four packets, a thread and a task for each frame; its own way out encodes
stereo in a pool of threads, all the time. Both are made for playing media. Here the microphone is heard packet by
packet (`RtpOrder`), and the voice is handed to aiortc as packets that are encoded already, when they are of use.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import av
import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from adapters.transport.counters import MALFORMED, MIC_LOST
from adapters.transport.opus import NOTHING, TIME_BASE, OpusEar, OpusVoiceEncoder
from adapters.transport.rtp_order import MicPacket, RtpOrder
from adapters.transport.ticker import PERIOD_S
from protocol.audio import SPEECH_FRAME, SPEECH_RATE, Flags, Frame

_JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_QUIET_TICKS: Final = 5
"""100 ms without a packet: the client says nothing, or its network is gone."""
_MAX_SILENCE: Final = SPEECH_RATE
"""At most a second of missing sound is made up for with silence; more than that is a client that does not send."""
_PACKETS_PER_TICK: Final = 2.5
"""Twice what a client with packets of 10 ms sends, and a quarter more."""
_PACKET_BURST: Final = 250.0
"""What may come at once after a network that stalled."""

_KEEPALIVE: Final = 20
"""Periods (400 ms, as Opus' own discontinuous transmission) between two packets while nothing is said."""
_MAX_LATE: Final = 10
"""Periods that are made up for after the loop was busy; more than that is skipped."""
_MAX_WAITING: Final = 25
_SILENT_BYTES: Final = 3
"""Of an Opus packet that says "all is zero" (a shorter one would say that nothing is sent)."""
_SILENCE: Final = bytes(2 * SPEECH_FRAME)

OnMic = Callable[[bytes], None]


class MicrophoneTap(JitterBuffer):
    """Takes the place of a receiver's jitter buffer: what comes in is heard at once, and nothing comes out."""

    def __init__(self, on_mic: OnMic, on_alive: Callable[[], None]) -> None:
        super().__init__(capacity=16)
        self._on_mic = on_mic
        self._on_alive = on_alive
        self._order = RtpOrder()
        self._ear = OpusEar()
        self._expected: int | None = None
        self._quiet_ticks = 0
        self._made_up = 0
        self._budget = _PACKET_BURST

    def put_into(self, receiver: RTCRtpReceiver) -> None:
        """Hear this receiver's packets; its statistics and reports to the sender go on.

        Raises:
            RuntimeError: this aiortc is built differently.
        """
        if not isinstance(getattr(receiver, _JITTER_BUFFER, None), JitterBuffer):
            raise RuntimeError("this aiortc keeps its jitter buffer elsewhere; use one that uv.lock names")  # noqa: TRY004  # it is a version, not a type, that is wrong
        setattr(receiver, _JITTER_BUFFER, self)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """A packet has arrived (called by aiortc's receiver)."""
        self._quiet_ticks = 0
        self._on_alive()
        if self._budget < 1:
            MALFORMED.labels("webrtc", "flood").inc()
            return False, None
        self._budget -= 1
        for ordered in self._order.put(MicPacket(packet.sequence_number, packet.timestamp, packet.payload)):
            self._hear(ordered)
        return False, None

    def _hear(self, packet: MicPacket) -> None:
        samples = self._ear.decode(packet.payload)
        if not len(samples):
            MALFORMED.labels("webrtc", "sound").inc()
            return
        if self._expected is not None:
            self._make_up_for(_signed(packet.timestamp - self._expected) - self._made_up)
        self._made_up = 0
        self._expected = (packet.timestamp + len(samples)) & 0xFFFFFFFF
        self._feed(samples)

    def _make_up_for(self, missing: int) -> None:
        if 0 < missing <= _MAX_SILENCE:
            MIC_LOST.inc(missing / SPEECH_FRAME)
            self._feed(np.zeros(missing, np.int16))

    def _feed(self, samples: "np.typing.NDArray[np.int16]") -> None:
        for pcm in self._ear.feed(samples):
            self._on_mic(pcm)

    def tick(self) -> None:
        """20 ms have passed. A client that stops sending in mid-word is heard to fall silent."""
        self._budget = min(_PACKET_BURST, self._budget + _PACKETS_PER_TICK)
        self._quiet_ticks += 1
        if self._expected is not None and self._quiet_ticks > _QUIET_TICKS and self._made_up < _MAX_SILENCE:
            self._made_up += SPEECH_FRAME
            self._feed(np.zeros(SPEECH_FRAME, np.int16))


class VoiceTrack(MediaStreamTrack):
    """Hands aiortc's sender packets that are encoded already, when there are any."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()

    def send(self, payload: bytes, pts: int) -> None:
        """Send this packet now; dropped when the sender does not keep up, which only a closing one does not."""
        if self._packets.qsize() < _MAX_WAITING:
            self._packets.put_nowait((payload, pts))

    async def recv(self) -> Any:
        """The next packet (called by aiortc's sender)."""
        if self.readyState != "live":
            raise MediaStreamError
        payload, pts = await self._packets.get()
        packet = av.Packet(payload)
        packet.pts = pts
        packet.time_base = TIME_BASE
        return packet


class Voice:
    """Pulls speech once per period and sends it, silence while there is a conversation, and else nothing.

    Not to send silence saves a fifth of what an idle session costs here (2.3 instead of 2.9 % of a core), and Chromium
    copes with it: no sample is concealed. But its jitter buffer grows while it has nothing to measure (replies were
    heard 40-90 ms later), so silence is sent for `attentive_s` after the last speech or event.
    The RTP timestamps run with time even when nothing is sent, so that a client knows how long that was.
    """

    def __init__(self, track: VoiceTrack, pull: Callable[[], Frame | None], *, attentive_s: float) -> None:
        self._track = track
        self._pull = pull
        self._attentive = attentive_s / PERIOD_S
        self._encoder = OpusVoiceEncoder()
        self._done: int | None = None
        self._pts = 0
        self._idle = 0
        self._silence: bytes | None = None
        self.last: Frame | None = None
        """The last speech that was sent."""

    def wake(self) -> None:
        """Something happens in this conversation."""
        self._idle = 0

    def tick(self, now: int) -> None:
        """Catch up with period number `now`."""
        if self._done is None or now - self._done > _MAX_LATE:
            skipped = 0 if self._done is None else now - self._done - 1
            self._pts += skipped * SPEECH_FRAME
            self._done = now - 1
        while self._done < now:
            self._done += 1
            frame = self._pull()
            if frame is None:
                self._keep_silent()
            else:
                self._say(frame)
            self._pts += SPEECH_FRAME

    def _say(self, frame: Frame) -> None:
        self._idle = 0
        self._silence = None
        if Flags.COMFORT not in frame.flags:
            self.last = frame
        self._track.send(self._encoder.encode(frame.pcm), self._pts)

    def _keep_silent(self) -> None:
        self._idle += 1
        if self._idle <= self._attentive:
            self._track.send(self._silence or self._encode_silence(), self._pts)
        elif (self._idle - int(self._attentive)) % _KEEPALIVE == 1:
            self._track.send(NOTHING, self._pts)

    def _encode_silence(self) -> bytes:
        """Once the encoder has nothing left of the speech before, all its packets are the same few bytes."""
        packet = self._encoder.encode(_SILENCE)
        if len(packet) <= _SILENT_BYTES:
            self._silence = packet
        return packet


def _signed(difference: int) -> int:
    """A difference of two 32-bit counters, as the shorter way round."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
