"""A reply without a language model: what the user said, said back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from protocol.errors import ReplyUnavailable
from protocol.ports import ChatMessage

_OPENING: Final = "You said: "


class EchoReply:
    """Answers "You said: …" at once. For a system without a language model, and for tests that look for the words."""

    @asynccontextmanager
    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[AsyncIterator[str]]:
        """The user's last words, word by word.

        Raises:
            ReplyUnavailable: the user said nothing yet.
        """
        said = next((message.content for message in reversed(history) if message.role == "user"), "").strip()
        if not said:
            raise ReplyUnavailable("there is nothing to answer: the user said nothing yet")
        yield _words(_OPENING + said)

    async def close(self) -> None:
        """Holds nothing."""


async def _words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word + " "
