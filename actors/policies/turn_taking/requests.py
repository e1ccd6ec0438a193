"""The transcript that is waited for: at most one, for a bounded time, asked for twice at most."""

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

    def __init__(self, timeout: Millis) -> None:
        self._timeout = timeout
        self._number = 0
        self._pending: _Pending | None = None
        self.asked_at = Millis(0)

    @property
    def next_number(self) -> int:
        """Of the next request."""
        return self._number + 1

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
        """The same range once more, or None when that was the second time: it is waited for no longer."""
        given_up, self._pending = self._pending, None
        if given_up is None or given_up.repeated:
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

    def deadline(self) -> Millis | None:
        """When to lose patience."""
        return None if self._pending is None else Millis(self._pending.asked_at + self._timeout)
