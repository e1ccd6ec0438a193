"""The gateway and its clients, as they see each other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from protocol.audio import Frame
from protocol.conversation import SessionConfig, SessionOpened
from protocol.ids import SessionId
from protocol.message import Message


class ClientLink(Protocol):
    """A connected client, as its conversation sees it. On the loop."""

    def tell(self, message: Message) -> None:
        """Send an event or a gate command; never waits. A client that does not read is disconnected."""

    def disconnect(self, reason: str) -> None:
        """End the connection."""


class Conversation(Protocol):
    """A session, as a transport sees it. On the loop."""

    @property
    def session(self) -> SessionId:
        """Its id."""

    def hear(self, pcm: bytes) -> None:
        """The next 20 ms of the microphone: 320 samples s16le at 16 kHz (640 bytes).

        Raises:
            MalformedMessage: for another length.
        """

    def pull(self) -> Frame | None:
        """The frame to send now, or None for silence. A transport calls it once per 20 ms on a steady clock."""

    def command(self, message: Message) -> Message:
        """Do what the client asks: returns `Accepted` or `CommandRefused`."""

    def detach(self, link: ClientLink) -> None:
        """The connection is lost; the session waits a while for `ConversationHost.resume`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a session could be opened and answered now, and what is missing if not."""

    ready: bool
    missing: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    sessions: int = 0
    max_sessions: int = 0


class ConversationHost(Protocol):
    """The gateway, as the transports see it. On the loop."""

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """A new session and the `SessionOpened` to send.

        Raises:
            Refused: too many sessions, no such voice, no worker.
        """

    async def resume(self, session: SessionId, token: str, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """Back to a session, with a new connection.

        Raises:
            Refused: no such session, or a wrong token.
        """

    def readiness(self) -> Readiness:
        """For `/readyz`."""


class GatewayConnection(Protocol):
    """A connection to a gateway, as a client's program sees it. On the loop."""

    async def hear(self, pcm: bytes) -> None:
        """Send the next 20 ms of the microphone (640 bytes); dropped when the connection is lost."""

    async def tell(self, message: Message) -> None:
        """Send a command; dropped when the connection is lost."""

    def received(self) -> AsyncIterator[Message | Frame]:
        """Events, gate commands and frames as they come; ends when the connection does."""

    async def close(self) -> None:
        """Hang up."""
