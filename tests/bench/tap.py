"""An observer on NATS: what passed, and when it came here (`time.monotonic()` seconds)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from protocol.audio import Frame, unpack
from protocol.codec import decode, decode_announcement, decode_reply, encode
from protocol.ids import SessionId, WorkerName
from protocol.measures import GatewayMeasures
from protocol.message import Message
from protocol.subjects import ANY_SESSION, Subject, gateway_meta, parse, tts_frames
from protocol.workers import Announcement

SomeMessage = TypeVar("SomeMessage", bound=Message)


@dataclass(frozen=True, slots=True)
class Seen:
    """A message."""

    at: float
    message: Message


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A frame of speech, as it left its worker."""

    at: float
    frame: Frame
    worker: WorkerName


@dataclass(slots=True)
class Watched:
    """What passed of one session since it is watched."""

    subscriptions: list[Subscription] = field(default_factory=list)
    messages: list[Seen] = field(default_factory=list)
    frames: list[SeenFrame] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def first(
        self, kind: type[SomeMessage], where: Callable[[SomeMessage], bool] = lambda _: True, *, after: float = 0.0
    ) -> tuple[float, SomeMessage] | None:
        """The first message of this kind after a moment."""
        for seen in self.messages:
            if seen.at >= after and isinstance(seen.message, kind) and where(seen.message):
                return seen.at, seen.message
        return None

    def frames_of(self, turn: int) -> list[SeenFrame]:
        """The worker's frames of a turn."""
        return [seen for seen in self.frames if seen.frame.turn == turn]

    async def stop(self) -> None:
        """Watch no longer."""
        for subscription in self.subscriptions:
            await subscription.unsubscribe()


class Tap:
    """A connection that only listens, but for what a bench asks of a worker."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Fail at once when nobody is there."""
        return cls(await nats.connect(url, allow_reconnect=False, connect_timeout=2))

    async def watch(self, session: SessionId) -> Watched:
        """All control messages and all speech of a session, from now on."""
        watched = Watched()

        async def on_message(msg: Msg) -> None:
            watched.messages.append(Seen(time.monotonic(), decode(msg.subject, msg.data)))
            watched.arrived.set()

        async def on_frame(msg: Msg) -> None:
            sender = parse(msg.subject).worker
            assert sender is not None
            watched.frames.append(SeenFrame(time.monotonic(), unpack(msg.data), sender))
            watched.arrived.set()

        for pattern in (f"control.*.{session}.>",):
            watched.subscriptions.append(await self.client.subscribe(pattern, cb=on_message))
        watched.subscriptions.append(await self.client.subscribe(tts_frames(session), cb=on_frame))
        await self.client.flush()
        return watched

    async def gateways(self) -> list[GatewayMeasures]:
        """What gateways tell once a second of the sound of all sessions, from now on; it grows."""
        told: list[GatewayMeasures] = []

        async def on_message(msg: Msg) -> None:
            message = decode(msg.subject, msg.data)
            assert isinstance(message, GatewayMeasures)
            told.append(message)

        await self.client.subscribe(gateway_meta(ANY_SESSION), cb=on_message)
        await self.client.flush()
        return told

    async def workers(self) -> list[Announcement]:
        """Who is announced in the registry."""
        bucket = await self.client.jetstream().key_value("workers")
        entries = [await bucket.get(key) for key in await bucket.keys()]
        return [decode_announcement(entry.value) for entry in entries if entry.value]

    async def publish(self, subject: Subject, message: Message) -> None:
        """Send a message, now."""
        await self.client.publish(subject, encode(message))
        await self.client.flush()

    async def request(self, subject: Subject, message: Message, timeout_s: float = 10.0) -> Message:
        """Ask a worker."""
        return decode_reply((await self.client.request(subject, encode(message), timeout=timeout_s)).data)

    async def close(self) -> None:
        """Disconnect."""
        await self.client.close()
