"""A client's connection that keeps what it is told."""

from protocol.message import Message


class FakeLink:
    """Implements `protocol.ports.ClientLink`."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.disconnected: str | None = None

    def tell(self, message: Message) -> None:
        """Keep it."""
        self.told.append(message)

    def disconnect(self, reason: str) -> None:
        """Keep the reason."""
        self.disconnected = reason
