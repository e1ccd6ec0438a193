"""One WebRTC connection, as its session sees it. On the loop."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpCodecCapability, RTCRtpTransceiver

from adapters.transport.counters import DISCONNECTED, MALFORMED
from adapters.transport.ticker import Ticker
from adapters.transport.webrtc_audio import MicrophoneTap, Voice, VoiceTrack
from protocol.codec import decode_client, encode
from protocol.conversation import Accepted, ClientPlayout, CommandRefused
from protocol.errors import MalformedMessage
from protocol.message import Message
from protocol.ports import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.audio import Frame

_CHANNEL: Final = "events"
_OPUS: Final = RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48_000, channels=2)
_EARLY_MESSAGES: Final = 1_000
_FLUSH_S: Final = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtcLimits:
    """What one client may ask of us.

    Attributes:
        offer_bytes: the largest body of an `/offer`.
        media: media sections in an offer: one of sound, one for the data channel.
        gather_s: for our own ICE candidates.
        connect_s: from the answer until sound can flow.
        faults: malformed messages until the connection is closed.
        unsent_bytes: of messages that a client has not read, until it counts as gone.
        connections: open at once.
        attentive_s: for which silence is sent, too, after the last speech or event (`inf`: always).
    """

    offer_bytes: int = 65_536
    media: int = 2
    gather_s: float = 5.0
    connect_s: float = 20.0
    faults: int = 20
    unsent_bytes: int = 262_144
    connections: int = 64
    attentive_s: float = 5.0


class WebRtcLink:
    """One peer connection. Implements `protocol.ports.ClientLink`. On the loop."""

    def __init__(self, connection: RTCPeerConnection, ticker: Ticker, limits: WebRtcLimits) -> None:
        self._connection = connection
        self._ticker = ticker
        self._limits = limits
        self._track = VoiceTrack()
        self._conversation: Conversation | None = None
        self._voice: Voice | None = None
        self._tap = MicrophoneTap(self._hear, self._alive)
        self._channel: RTCDataChannel | None = None
        self._outbox: list[Message] = []
        self._leave: Callable[[], None] | None = None
        self._heard: Frame | None = None
        self._faults = 0
        self._ended = False
        self._deadline: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        connection.on("datachannel", self._on_channel)
        connection.on("connectionstatechange", self._on_state)

    def take(self, transceiver: RTCRtpTransceiver) -> None:
        """Use this for both directions of sound."""
        transceiver.setCodecPreferences([_OPUS])
        transceiver.sender.replaceTrack(self._track)
        self._tap.put_into(transceiver.receiver)

    def begin(self, conversation: Conversation, opened: Message) -> None:
        """The session is there: what it has said meanwhile comes after `opened`."""
        self._conversation = conversation
        self._voice = Voice(self._track, conversation.pull, attentive_s=self._limits.attentive_s)
        self._outbox.insert(0, opened)
        self._deadline = asyncio.get_running_loop().call_later(self._limits.connect_s, self._too_late)
        self._flush()
        self._on_state()

    # --- as the session sees it --------------------------------------------------------------------------------------
    def tell(self, message: Message) -> None:
        """Send an event or a gate command; never waits. A client that does not read is disconnected."""
        if self._ended:
            return
        self._outbox.append(message)
        self._flush()
        if self._voice is not None:
            self._voice.wake()
        unread = self._channel is not None and self._channel.bufferedAmount > self._limits.unsent_bytes
        if unread or len(self._outbox) > _EARLY_MESSAGES:
            DISCONNECTED.labels("webrtc", "unread").inc()
            self._lost()

    def disconnect(self, reason: str) -> None:
        """End the connection, after what was told has left."""
        if not self._ended:
            log.debug("webrtc connection ends", reason=reason)
            self._end()

    # --- the data channel --------------------------------------------------------------------------------------------
    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != _CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._flush()

    def _flush(self) -> None:
        if self._conversation is None or self._channel is None or self._channel.readyState != "open":
            return
        outbox, self._outbox = self._outbox, []
        for message in outbox:
            self._channel.send(encode(message).decode())

    def _on_message(self, data: str | bytes) -> None:
        if self._conversation is None or self._ended:
            return
        self._alive()
        try:
            command = decode_client(data)
        except MalformedMessage as error:
            self._refuse(error)
            return
        answer = self._conversation.command(command)
        if not (isinstance(command, ClientPlayout) and isinstance(answer, Accepted)):
            self.tell(answer)

    def _refuse(self, error: MalformedMessage) -> None:
        MALFORMED.labels("webrtc", "message").inc()
        self._faults += 1
        self.tell(CommandRefused(code="malformed", reason=str(error)[:1_000]))
        if self._faults >= self._limits.faults:
            DISCONNECTED.labels("webrtc", "malformed").inc()
            self._lost()

    # --- sound -------------------------------------------------------------------------------------------------------
    def _hear(self, pcm: bytes) -> None:
        if self._conversation is not None and not self._ended:
            self._conversation.hear(pcm)

    def _alive(self) -> None:
        """What was sent until now has probably arrived, for something came back."""
        if self._voice is not None:
            self._heard = self._voice.last

    def _tick(self, now: int) -> None:
        if self._voice is not None and not self._ended:
            self._voice.tick(now)
            self._tap.tick()

    # --- its end -----------------------------------------------------------------------------------------------------
    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self._leave is None and self._conversation is not None and not self._ended:
            if self._deadline is not None:
                self._deadline.cancel()
            self._leave = self._ticker.join(self._tick)
        if state in ("failed", "closed"):
            self._lost()

    def _too_late(self) -> None:
        if self._connection.connectionState != "connected":
            DISCONNECTED.labels("webrtc", "never-connected").inc()
            self._lost()

    def _lost(self) -> None:
        """The session waits for its client to come back."""
        if not self._ended:
            conversation = self._conversation
            self._end()
            if conversation is not None:
                conversation.detach(self)

    def _end(self) -> None:
        self._ended = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._leave is not None:
            self._leave()
        if self._conversation is not None and self._heard is not None:
            self._conversation.command(ClientPlayout(turn=self._heard.turn, played=self._heard.end))
        self._closing = asyncio.create_task(self._close())

    async def _close(self) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount:
            sent = asyncio.Event()
            channel.on("bufferedamountlow", sent.set)
            try:
                async with asyncio.timeout(_FLUSH_S):
                    await sent.wait()
            except TimeoutError:
                log.debug("a client did not read its last messages")
        await self._connection.close()

    async def end(self) -> None:
        """End the connection and wait for that."""
        if not self._ended:
            self._end()
        if self._closing is not None:
            await self._closing
