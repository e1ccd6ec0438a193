"""A conversation as the language model sees it: what the user said, and of our replies what was heard."""

from collections import deque
from typing import Final

from protocol.ports import ChatMessage

MAX_MESSAGES: Final = 60
MAX_CHARACTERS: Final = 24_000
"""About half an hour of talk, and some 6,000 tokens."""


class History:
    """Bounded: the oldest messages go first; the system prompt stays."""

    def __init__(
        self, *, system: str = "", max_messages: int = MAX_MESSAGES, max_characters: int = MAX_CHARACTERS
    ) -> None:
        self.system = system
        self._max_messages = max_messages
        self._max_characters = max_characters
        self._messages: deque[ChatMessage] = deque()
        self._before_user: ChatMessage | None = None

    def __len__(self) -> int:
        """Of the messages, without the system prompt."""
        return len(self._messages)

    def add_user(self, text: str) -> None:
        """The user's words; those of an unanswered turn before are joined with them."""
        self._before_user = self._messages[-1] if self._ends_with("user") else None
        self._add(ChatMessage(role="user", content=text))

    def withdraw_user(self) -> None:
        """Take back the last `add_user`: the user was not done."""
        if not self._ends_with("user"):
            return
        self._messages.pop()
        if self._before_user is not None:
            self._messages.append(self._before_user)
            self._before_user = None

    def add_assistant(self, text: str) -> None:
        """What was heard of a reply; nothing when that is nothing."""
        if text.strip():
            self._add(ChatMessage(role="assistant", content=text.strip()))

    def messages(self, *, and_user: str | None = None) -> list[ChatMessage]:
        """All of it, the system prompt first; with `and_user` as if that had been said last."""
        system = [ChatMessage(role="system", content=self.system)] if self.system else []
        if and_user is None:
            return [*system, *self._messages]
        if self._ends_with("user"):
            joined = ChatMessage(role="user", content=f"{self._messages[-1].content} {and_user}")
            return [*system, *list(self._messages)[:-1], joined]
        return [*system, *self._messages, ChatMessage(role="user", content=and_user)]

    def _ends_with(self, role: str) -> bool:
        return bool(self._messages) and self._messages[-1].role == role

    def _add(self, message: ChatMessage) -> None:
        if self._ends_with(message.role):
            before = self._messages.pop()
            message = ChatMessage(role=message.role, content=f"{before.content} {message.content}")
        self._messages.append(message)
        while len(self._messages) > 1 and self._is_too_long():
            self._messages.popleft()

    def _is_too_long(self) -> bool:
        characters = sum(len(message.content) for message in self._messages)
        return len(self._messages) > self._max_messages or characters > self._max_characters
