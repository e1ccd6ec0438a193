"""What makes a reply's text."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One entry of a conversation's history."""

    role: Literal["system", "user", "assistant"]
    content: str


class ReplyGenerator(Protocol):
    """Makes a reply's text. On the loop."""

    def reply(self, history: Sequence[ChatMessage]) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The reply to the last message, in deltas as they come; leaving the context cancels it at once.

        Raises:
            ReplyUnavailable: on failure or time-out, at any point.
        """

    async def close(self) -> None:
        """Drop its connections."""
