"""The sessions that an ASR worker listens to, each with the last seconds of its sound."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from actors.policies.listening import AudioRing
from protocol import subjects
from protocol.audio import Frame
from protocol.conversation import Accepted, CommandRefused
from protocol.errors import BusUnavailable
from protocol.ids import SessionId
from protocol.message import Message
from protocol.ports import Bus, Subscription
from protocol.subjects import Subject

Answer = Callable[[Message], None]

_DEPTH: Final = 2_000
"""Frames, more than a session ever sends again at once (30 s): late sound is as good as any here, a hole is not."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Listener:
    seen: float
    subscribing: asyncio.Task[None] | None = None
    subscription: Subscription | None = None
    ring: AudioRing = field(default_factory=AudioRing)
    waiting: list[Answer] = field(default_factory=list)
    """Who asked to be told when sound begins to arrive."""


class Listeners:
    """Subscribes to the microphones of the sessions it is told, and keeps what comes. On the loop."""

    def __init__(self, bus: Bus, *, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._clock = clock
        self.on_sound: Callable[[], None] = lambda: None
        """Called after each frame."""
        self._listeners: dict[SessionId, _Listener] = {}

    def __len__(self) -> int:
        """How many sessions."""
        return len(self._listeners)

    def __contains__(self, session: SessionId) -> bool:
        """Whether we listen to it."""
        return session in self._listeners

    def start(self, session: SessionId, answer: Answer) -> None:
        """Listen from now on; `Accepted` is answered once sound would arrive. Harmless when repeated."""
        listener = self._listeners.get(session)
        if listener is None:
            listener = self._listeners[session] = _Listener(self._clock())
            listener.subscribing = asyncio.create_task(self._subscribe(session, listener))
        listener.seen = self._clock()
        if listener.subscription is not None:
            answer(Accepted(session=session))
        else:
            listener.waiting.append(answer)

    def ring(self, session: SessionId) -> AudioRing:
        """The sound of a session that we listen to; asking for it counts as a sign of life."""
        listener = self._listeners[session]
        listener.seen = self._clock()
        return listener.ring

    def forget(self, session: SessionId) -> None:
        """Stop listening; nothing is kept."""
        listener = self._listeners.pop(session, None)
        if listener is not None and listener.subscription is not None:
            listener.subscription.cancel()

    def silent_for(self, seconds: float) -> list[SessionId]:
        """Sessions without any frame or command for longer than this."""
        now = self._clock()
        return [session for session, listener in self._listeners.items() if now - listener.seen > seconds]

    def sessions(self) -> list[SessionId]:
        """All of them."""
        return list(self._listeners)

    async def _subscribe(self, session: SessionId, listener: _Listener) -> None:
        def on_frame(_subject: Subject, frame: Frame) -> None:
            listener.seen = self._clock()
            listener.ring.write(frame.position, frame.pcm)
            self.on_sound()

        reply: Message = Accepted(session=session)
        try:
            subscription = await self._bus.subscribe_frames(subjects.mic_frames(session), on_frame, depth=_DEPTH)
        except BusUnavailable as error:
            log.warning("cannot listen", session=session, error=str(error))
            reply = CommandRefused(session=session, code="bus-unavailable", reason=str(error)[:1_000])
            self.forget(session)
        else:
            if self._listeners.get(session) is listener:
                listener.subscription = subscription
            else:  # it ended meanwhile
                subscription.cancel()
        for answer in listener.waiting:
            answer(reply)
        listener.waiting.clear()
