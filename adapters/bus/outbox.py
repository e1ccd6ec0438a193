"""Control messages that wait for a connection. Pure: `now` comes in."""

from collections import deque
from dataclasses import dataclass
from typing import Final

KEEP_S: Final = 5.0
"""Older ones are dropped: a session that missed five seconds is asked anew by its peers, not by stale commands."""
KEEP_MESSAGES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to go. `reply_to` is empty unless an answer is wanted."""

    subject: str
    data: bytes
    since_s: float


class Outbox:
    """First in, first out, bounded by number and age; the oldest give way."""

    def __init__(self, *, keep_s: float = KEEP_S, keep_messages: int = KEEP_MESSAGES) -> None:
        self._keep_s = keep_s
        self._letters: deque[Letter] = deque(maxlen=keep_messages)
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, subject: str, data: bytes, now: float) -> None:
        """Keep this one; the oldest gives way when there are too many."""
        if len(self._letters) == self._letters.maxlen:
            self._dropped += 1
        self._letters.append(Letter(subject, data, now))

    def take(self, now: float) -> Letter | None:
        """The oldest one that is not stale, or None."""
        while self._letters:
            letter = self._letters.popleft()
            if now - letter.since_s <= self._keep_s:
                return letter
            self._dropped += 1
        return None

    def take_dropped(self) -> int:
        """How many were dropped since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped
