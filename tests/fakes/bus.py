"""A bus in memory: the promises of the real one, delivered by the next turns of the loop, and a record of it all."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from protocol import codec
from protocol.audio import Frame, pack, unpack
from protocol.errors import BusUnavailable, MalformedMessage, NobodyListens
from protocol.exchanges import ANSWERS
from protocol.ids import UnixMicros
from protocol.message import Message
from protocol.ports import OnFrame, OnMessage, Respond, Subscription
from protocol.services import Service
from protocol.subjects import Subject, parse

KEPT_WHILE_DOWN = 256


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS pattern (`*` one token, a final `>` one or more) covers a subject."""
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


class _Subscription:
    def __init__(self, pattern: Subject, deliver: Callable[[Subject, bytes, Respond | None], None], queue: str) -> None:
        self.pattern = pattern
        self.queue = queue
        self.deliver = deliver
        self.live = True

    def cancel(self) -> None:
        self.live = False
        self.deliver = lambda *_: None  # as the real one, it lets go of who listened


class _Offer:
    def __init__(self, services: list[Service], service: Service) -> None:
        self._services = services
        self._service = service

    def cancel(self) -> None:
        if self._service in self._services:
            self._services.remove(self._service)


class FakeBus:
    """Every message goes through the codec, so that what could not travel cannot be said here either.

    Nor can an answer be given that `protocol.exchanges` does not name for its question.

    Attributes:
        published: each control message with its subject, in order, requests among them.
        frames: each frame with its subject, in order.
        malformed: how many messages and frames were refused on arrival.
        services: what is offered now.
    """

    def __init__(self) -> None:
        self.published: list[tuple[Subject, Message]] = []
        self.frames: list[tuple[Subject, Frame]] = []
        self.malformed = 0
        self.services: list[Service] = []
        self._connected = True
        self._closed = False
        self._subscriptions: list[_Subscription] = []
        self._waiting: deque[tuple[Subject, bytes]] = deque(maxlen=KEPT_WHILE_DOWN)
        self._reconnected: list[Callable[[], None]] = []
        self._round = 0
        self._stamp = 0

    # --- the port ---------------------------------------------------------------------------------------------------
    @property
    def is_connected(self) -> bool:
        return self._connected

    def publish(self, subject: Subject, message: Message) -> None:
        if self._closed:
            return
        whole, data = self._encode(subject, message)
        self.published.append((whole, message))
        if self._connected:
            self._send(whole, data, None)
        else:
            self._waiting.append((whole, data))

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        if not self._connected or self._closed:
            return False
        self.frames.append((subject, frame))
        self._send(subject, pack(frame), None)
        return True

    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        def deliver(subject: Subject, data: bytes, respond: Respond | None) -> None:
            try:
                message = codec.decode(subject, data)
            except MalformedMessage:
                self.malformed += 1
                return
            on_message(subject, message, respond)

        return await self._subscribe(pattern, deliver, queue)

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        inbox: deque[tuple[Subject, bytes]] = deque(maxlen=depth)

        def drain() -> None:
            while inbox:
                subject, data = inbox.popleft()
                try:
                    frame = unpack(data)
                except MalformedMessage:
                    self.malformed += 1
                    continue
                if subscription.live:
                    on_frame(subject, frame)

        def deliver(subject: Subject, data: bytes, _respond: Respond | None) -> None:
            if not inbox:
                asyncio.get_running_loop().call_soon(drain)
            inbox.append((subject, data))

        subscription = await self._subscribe(pattern, deliver, "")
        return subscription

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        whole, data = self._encode(subject, message)
        if self._closed or not self._connected:
            raise BusUnavailable("the bus is down")
        if not self._receivers(whole):
            raise NobodyListens(f"nobody listens on {whole}")
        self.published.append((whole, message))
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def respond(reply: Message) -> None:
            if type(reply) not in ANSWERS.get(type(message), ()):
                raise AssertionError(f"{type(reply).__name__} is no answer to {type(message).__name__}")
            if not answer.done():
                answer.set_result(codec.decode_reply(codec.encode(reply, sent_at=self._now())))

        self._send(whole, data, respond)
        try:
            return await asyncio.wait_for(answer, timeout_s)
        except TimeoutError:
            raise BusUnavailable(f"nobody answered on {whole} within {timeout_s} s") from None

    async def offer(self, service: Service) -> Subscription:
        self.services.append(service)
        return _Offer(self.services, service)

    def on_reconnect(self, call_back: Callable[[], None]) -> None:
        self._reconnected.append(call_back)

    async def close(self) -> None:
        self._closed = True
        self._subscriptions.clear()

    # --- for tests --------------------------------------------------------------------------------------------------
    @property
    def subscriptions(self) -> int:
        """How many are open."""
        return sum(s.live for s in self._subscriptions)

    def inject(self, subject: str, data: bytes) -> None:
        """Bytes from somebody who does not keep the contract."""
        self._send(Subject(subject), data, None)

    def disconnect(self) -> None:
        """The server is gone."""
        self._connected = False

    def reconnect(self) -> None:
        """It is back."""
        self._connected = True
        while self._waiting:
            self._send(*self._waiting.popleft(), None)
        for call_back in self._reconnected:
            call_back()

    def said(self, *kinds: type[Message]) -> list[Any]:
        """The messages of these types that were published, in order."""
        return [message for _, message in self.published if isinstance(message, kinds)]

    async def settle(self, rounds: int = 30) -> None:
        """Let the loop run until what was said has arrived and been answered."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    # --- inside -----------------------------------------------------------------------------------------------------
    def _now(self) -> UnixMicros:
        self._stamp += 1
        return UnixMicros(self._stamp)

    def _encode(self, subject: Subject, message: Message) -> tuple[Subject, bytes]:
        whole = codec.subject_for(subject, message) if subject.endswith("*") else subject
        parse(whole)
        return whole, codec.encode(message, sent_at=self._now())

    async def _subscribe(
        self, pattern: Subject, deliver: Callable[[Subject, bytes, Respond | None], None], queue: str
    ) -> _Subscription:
        subscription = _Subscription(pattern, deliver, queue)
        self._subscriptions = [s for s in self._subscriptions if s.live]
        self._subscriptions.append(subscription)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            subscription.cancel()
            raise
        return subscription

    def _receivers(self, subject: Subject) -> list[_Subscription]:
        """All plain subscribers, and one of each queue group in turn."""
        fitting = [s for s in self._subscriptions if s.live and matches(s.pattern, subject)]
        groups: dict[tuple[Subject, str], list[_Subscription]] = {}
        for one in fitting:
            if one.queue:
                groups.setdefault((one.pattern, one.queue), []).append(one)
        self._round += 1
        return [s for s in fitting if not s.queue] + [g[self._round % len(g)] for g in groups.values()]

    def _send(self, subject: Subject, data: bytes, respond: Respond | None) -> None:
        for receiver in self._receivers(subject):
            asyncio.get_running_loop().call_soon(self._deliver, receiver, subject, data, respond)

    @staticmethod
    def _deliver(receiver: _Subscription, subject: Subject, data: bytes, respond: Respond | None) -> None:
        if receiver.live:
            receiver.deliver(subject, data, respond)
