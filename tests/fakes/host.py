"""A gateway without speech: sessions that keep what they hear and say what a test gives them, or what they hear."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from protocol.audio import MIC_FRAME, SPEECH_FRAME, Frame, Kind
from protocol.conversation import Accepted, CloseSession, CommandRefused, Interrupt, SessionConfig, SessionOpened
from protocol.errors import MalformedMessage, Refused
from protocol.ids import Samples, SessionId, TurnId, UnixMicros
from protocol.message import Message
from protocol.ports import ClientLink, Readiness

Found = TypeVar("Found")


class FakeConversation:
    """Implements `protocol.ports.Conversation`. With `echo`, each microphone frame comes back as speech of turn 1."""

    def __init__(self, session: SessionId, link: ClientLink, on_change: Callable[[], None], *, echo: bool) -> None:
        self._session = session
        self._on_change = on_change
        self._echo = echo
        self.link: ClientLink | None = link
        self.heard: list[bytes] = []
        self.commands: list[Message] = []
        self.to_say: deque[Frame] = deque()
        self.pulls = 0
        self.detached: list[ClientLink] = []

    @property
    def session(self) -> SessionId:
        """Its id."""
        return self._session

    def hear(self, pcm: bytes) -> None:
        """Keep it, and say it if this one echoes."""
        if len(pcm) != 2 * MIC_FRAME:
            raise MalformedMessage(f"{len(pcm)} bytes")
        self.heard.append(pcm)
        if self._echo:
            self.to_say.append(_as_speech(len(self.heard) - 1, pcm))
        self._on_change()

    def say(self, frames: Iterable[Frame]) -> None:
        """Let these be pulled."""
        self.to_say.extend(frames)

    def pull(self) -> Frame | None:
        """The next of what is to be said."""
        self.pulls += 1
        self._on_change()
        return self.to_say.popleft() if self.to_say else None

    def command(self, message: Message) -> Message:
        """Accept all but an interruption, when there is nothing to interrupt."""
        self.commands.append(message)
        self._on_change()
        if isinstance(message, Interrupt):
            return CommandRefused(code="nothing-to-interrupt", reason="Nobody speaks.", session=self._session)
        if isinstance(message, CloseSession) and self.link is not None:
            self.link.disconnect("closed by the client")
        return Accepted(session=self._session)

    def detach(self, link: ClientLink) -> None:
        """Keep who left."""
        self.detached.append(link)
        if self.link is link:
            self.link = None
        self._on_change()

    def pcm(self) -> "np.typing.NDArray[np.int16]":
        """All that was heard."""
        return np.frombuffer(b"".join(self.heard), np.int16)


class FakeHost:
    """Implements `protocol.ports.ConversationHost`."""

    def __init__(self, *, max_sessions: int = 8, echo: bool = False, ready: bool = True) -> None:
        self._max_sessions = max_sessions
        self._echo = echo
        self._changed = asyncio.Event()
        self.ready = ready
        self.conversations: dict[SessionId, FakeConversation] = {}
        self.tokens: dict[SessionId, str] = {}
        self.configs: list[SessionConfig] = []
        self.early: list[Message] = []
        """What a session says to its client before the client knows of the session."""

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[FakeConversation, SessionOpened]:
        """A new session, unless there are too many."""
        if len(self.conversations) >= self._max_sessions:
            raise Refused("too-many-sessions", f"All {self._max_sessions} sessions are taken.")
        self.configs.append(config)
        session = SessionId(secrets.token_hex(4))
        self.tokens[session] = secrets.token_urlsafe(24)
        conversation = FakeConversation(session, link, self._changed.set, echo=self._echo)
        self.conversations[session] = conversation
        for message in self.early:
            link.tell(message)
        return conversation, self._opened(session, config, resumed=False)

    async def resume(self, session: SessionId, token: str, link: ClientLink) -> tuple[FakeConversation, SessionOpened]:
        """Back to a session."""
        if self.tokens.get(session) != token:
            raise Refused("no-such-session", "This session is over or was never here.")
        conversation = self.conversations[session]
        previous, conversation.link = conversation.link, link
        if previous is not None:
            previous.disconnect("taken over")
        return conversation, self._opened(session, self.configs[-1], resumed=True)

    def _opened(self, session: SessionId, config: SessionConfig, *, resumed: bool) -> SessionOpened:
        return SessionOpened(
            session=session, token=self.tokens[session], config=config, voices=("one", "two"), resumed=resumed
        )

    def readiness(self) -> Readiness:
        """As the test wishes."""
        missing = () if self.ready else ("connection to NATS",)
        return Readiness(ready=self.ready, missing=missing, sessions=len(self.conversations))

    @property
    def only(self) -> FakeConversation:
        """The one session that there is."""
        (conversation,) = self.conversations.values()
        return conversation

    async def until(self, found: Callable[[], Found | None], timeout_s: float = 5.0) -> Found:
        """What `found` returns, as soon as it returns something; it is asked again at each change."""
        async with asyncio.timeout(timeout_s):
            while (result := found()) is None:
                self._changed.clear()
                await self._changed.wait()
        return result


def _as_speech(index: int, pcm: bytes) -> Frame:
    return Frame(
        kind=Kind.SPEECH,
        turn=TurnId(1),
        sequence=index,
        position=Samples(index * SPEECH_FRAME),
        captured_at=UnixMicros(0),
        pcm=np.repeat(np.frombuffer(pcm, np.int16), SPEECH_FRAME // MIC_FRAME).tobytes(),
    )
