"""Messages and frames by subject."""

from collections.abc import Callable
from typing import Any, Protocol

from protocol.audio import Frame
from protocol.message import Message
from protocol.services import Service
from protocol.subjects import Subject

Respond = Callable[[Message], None]
OnMessage = Callable[[Subject, Any, Respond | None], None]
"""Called on the loop with the subject, the decoded message (narrow it by `match`), and a way to reply if asked for."""
OnFrame = Callable[[Subject, Frame], None]


class Subscription(Protocol):
    """Ends when told to."""

    def cancel(self) -> None:
        """No call-back comes after this. On the loop; harmless when repeated."""


class Bus(Protocol):
    """Messages and frames by subject. Everything is called on the loop."""

    @property
    def is_connected(self) -> bool:
        """Whether what is published now has a chance to arrive."""

    def publish(self, subject: Subject, message: Message) -> None:
        """Send a message; a subject that ends in `*` gets the message's type in its place. Never waits.

        While the connection is down, control messages are kept for a bounded time and number.
        """

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        """Send a frame, or drop it (False) when the connection is down or behind: old sound is worse than none."""

    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each well-formed message, in order; malformed ones are counted and logged.

        Returns once the server knows of it.
        """

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        """Call `on_frame` for each well-formed frame; when more than `depth` wait, the oldest are dropped."""

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        """Send a message and return the decoded reply.

        Raises:
            BusUnavailable: nobody answered in time, or nobody listens.
        """

    async def offer(self, service: Service) -> Subscription:
        """Show a service to whoever looks for services on the bus, with counts of what its subjects were asked.

        What is answered there is up to `subscribe`; this only tells of it, until cancelled.
        """

    def on_reconnect(self, call_back: Callable[[], None]) -> None:
        """Call this on the loop each time the connection is back after it was lost."""

    async def close(self) -> None:
        """Send what is queued, within a second, and disconnect."""
