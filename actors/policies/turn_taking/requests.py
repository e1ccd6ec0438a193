"""The transcript that is waited for: at most one, for a bounded time, asked for twice at most.

While no recognizer is there, asking again is of no use: what was asked waits for the next one, for a bounded time, too.
"""

from dataclasses import dataclass, replace

from actors.policies.turn_taking.commands import AskTranscript
from protocol.ids import Millis, Samples


@dataclass(frozen=True, slots=True)
class _Pending:
    command: AskTranscript
    asked_at: Millis
    repeated: bool = False


class TranscriptRequests:
    """Numbers them from 1; a newer one takes the place of the older."""

    def __init__(self, timeout: Millis, *, return_time: Millis) -> None:
        """`return_time` is what a lost recognizer has to come back, or another to take its place."""
        self._timeout = timeout
        self._return_time = return_time
        self._deaf_since: Millis | None = None
        self._number = 0
        self._pending: _Pending | None = None
        self.asked_at = Millis(0)

    @property
    def next_number(self) -> int:
        """Of the next request."""
        return self._number + 1

    @property
    def deaf(self) -> bool:
        """Whether nobody is there who could answer."""
        return self._deaf_since is not None

    @property
    def pending(self) -> AskTranscript | None:
        """What is waited for."""
        return None if self._pending is None else self._pending.command

    def ask(self, first: Samples, end: Samples, *, final: bool, now: Millis) -> AskTranscript:
        """Wait for this from now on, and for nothing older."""
        self._number += 1
        self._pending = _Pending(AskTranscript(self._number, first, end, final), now)
        self.asked_at = now
        return self._pending.command

    def ask_again(self, now: Millis) -> AskTranscript | None:
        """The same range once more, or None if that is no use or was the second time: it is waited for no longer."""
        given_up, self._pending = self._pending, None
        if given_up is None or given_up.repeated or self.deaf:
            return None
        self._number += 1
        command = replace(given_up.command, request=self._number)
        self._pending = _Pending(command, now, repeated=True)
        self.asked_at = now
        return command

    def settle(self, request: int) -> bool:
        """Whether this answer is the one that was waited for."""
        if self._pending is None or self._pending.command.request != request:
            return False
        self._pending = None
        return True

    def forget(self) -> None:
        """Wait for nothing."""
        self._pending = None

    def lose_recognizer(self, now: Millis) -> None:
        """Nobody can answer until one returns."""
        if self._deaf_since is None:
            self._deaf_since = now

    def regain_recognizer(self, now: Millis) -> None:
        """What is waited for was asked just now."""
        if self._deaf_since is None:
            return
        self._deaf_since = None
        if self._pending is not None:
            self._pending = replace(self._pending, asked_at=now)

    def deadline(self) -> Millis | None:
        """When to lose patience."""
        if self._pending is None:
            return None
        due = self._pending.asked_at + self._timeout
        if self._deaf_since is not None:
            due = max(due, self._deaf_since + self._return_time)
        return Millis(due)
