"""A gateway without actors: what a client is told is what a test says."""

import asyncio
from dataclasses import replace

from protocol.audio import Frame
from protocol.conversation import Accepted, CloseSession, SessionClosed, SessionConfig, SessionOpened, StateChanged
from protocol.errors import Refused
from protocol.ids import SessionId
from protocol.message import Message
from protocol.ports import ClientLink, Conversation, Readiness

SESSION = SessionId("scripted-1")
TOKEN = "scripted-token-0123456789"
CONFIG = SessionConfig(voice="hibari-heart", language="en", barge_in="words", end_of_turn_ms=None)
VOICES = ("hibari-heart", "piper-joe")


class ScriptedConversation:
    """Implements `Conversation`: silent, agrees to everything, keeps what it is asked."""

    def __init__(self, host: "ScriptedHost") -> None:
        self._host = host
        self.session = SESSION
        self.heard_bytes = 0

    def hear(self, pcm: bytes) -> None:
        self.heard_bytes += len(pcm)

    def pull(self) -> Frame | None:
        return None

    def command(self, message: Message) -> Message:
        self._host.commands.put_nowait(message)
        if isinstance(message, CloseSession):
            self._host.tell(SessionClosed(session=SESSION, reason="closed by the client"))
        return Accepted(session=SESSION)

    def detach(self, link: ClientLink) -> None:
        if self._host.link is link:
            self._host.link = None


class ScriptedHost:
    """Implements `ConversationHost` for one client at a time.

    Attributes:
        readiness_now: what `/readyz` says.
        remembers: whether a client that comes back finds its session.
        commands: what the client asked, in order.
        opened: how each connection came: its configuration, or "resumed".
    """

    def __init__(self) -> None:
        self.readiness_now = Readiness(ready=True, voices=VOICES)
        self.remembers = True
        self.commands: asyncio.Queue[Message] = asyncio.Queue()
        self.opened: list[SessionConfig | str] = []
        self.link: ClientLink | None = None
        self.conversation = ScriptedConversation(self)

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        self.opened.append(config)
        return self._seat(link, resumed=False)

    async def resume(self, session: SessionId, token: str, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        if not self.remembers or session != SESSION or token != TOKEN:
            raise Refused("no-such-session", "This session is over.")
        self.opened.append("resumed")
        return self._seat(link, resumed=True)

    def readiness(self) -> Readiness:
        return self.readiness_now

    def tell(self, *messages: Message) -> None:
        """To the client that is connected."""
        assert self.link is not None, "nobody is connected"
        for message in messages:
            self.link.tell(message)

    def lose(self) -> None:
        """End the connection as a failing network would, if the transport had noticed."""
        assert self.link is not None, "nobody is connected"
        self.link.disconnect("lost")

    def waits_for(self, *missing: str) -> None:
        """Not ready any more; ready when nothing is named."""
        self.readiness_now = replace(self.readiness_now, ready=not missing, missing=missing)

    def _seat(self, link: ClientLink, *, resumed: bool) -> tuple[Conversation, SessionOpened]:
        self.link = link
        opened = SessionOpened(session=SESSION, token=TOKEN, config=CONFIG, voices=VOICES, resumed=resumed)
        asyncio.get_running_loop().call_soon(self._listen, link)
        return self.conversation, opened

    def _listen(self, link: ClientLink) -> None:
        link.tell(StateChanged(session=SESSION, state="LISTENING"))
