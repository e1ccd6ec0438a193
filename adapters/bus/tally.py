"""What was asked of us on a subject, and how it went."""

import time
from collections.abc import Callable

from protocol import codec
from protocol.message import Message

_REFUSALS = frozenset({"refused", "not_routed"})
_LONGEST_ERROR = 500


class Tally:
    """Counts of one endpoint. Times in nanoseconds, from a request's arrival to its answer."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.answers = 0
        self.processing_ns = 0
        self.last_error = ""

    def failed(self, reason: str) -> None:
        """A request went wrong."""
        self.errors += 1
        self.last_error = reason[:_LONGEST_ERROR]

    def timed(self, respond: Callable[[Message], None]) -> Callable[[Message], None]:
        """The same answer, counted; a refusal counts as an error, as it does with services elsewhere."""
        arrived = time.perf_counter_ns()

        def answer(message: Message) -> None:
            self.answers += 1
            self.processing_ns += time.perf_counter_ns() - arrived
            if codec.type_of(message) in _REFUSALS:
                self.failed(f"{getattr(message, 'code', '')}: {getattr(message, 'reason', '')}")
            respond(message)

        return answer


class Tallies:
    """By subject, for the endpoints of services that are offered; nothing else is counted here."""

    def __init__(self) -> None:
        self._by_subject: dict[str, Tally] = {}

    def get(self, subject: str) -> Tally | None:
        """None if no service has this endpoint."""
        return self._by_subject.get(subject)

    def open(self, subject: str) -> Tally:
        """Count from now on."""
        return self._by_subject.setdefault(subject, Tally())

    def close(self, subject: str) -> None:
        """Count no more."""
        self._by_subject.pop(subject, None)
