"""Placements that their workers have not announced yet. Pure: seconds of a monotonic clock come in."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from protocol.ids import WorkerName

FORGET_AFTER_S: Final = 2.5
"""An announcement is at most 2 s old; one that says nothing new is told to nobody, so a placement also ends by time."""


class Outstanding:
    """Without them, everybody who asks between two announcements would be sent to the same worker.

    They are a guess, and only ever change the order of those who can serve: the worker itself grants the place.
    """

    def __init__(self, *, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._forget_after_s = forget_after_s
        self._ends: dict[WorkerName, deque[float]] = {}
        self._in_order: deque[tuple[float, WorkerName]] = deque()

    def of(self, worker: WorkerName) -> int:
        """How many."""
        ends = self._ends.get(worker)
        return len(ends) if ends is not None else 0

    def add(self, worker: WorkerName, now: float) -> None:
        """A session was sent there."""
        end = now + self._forget_after_s
        self._ends.setdefault(worker, deque()).append(end)
        self._in_order.append((end, worker))

    def settle(self, worker: WorkerName) -> None:
        """It has announced itself, or is gone: what it says counts from now on."""
        self._ends.pop(worker, None)

    def expired(self, now: float) -> Iterator[WorkerName]:
        """Forget what is too old; those whose number has changed by that."""
        while self._in_order and self._in_order[0][0] <= now:
            end, worker = self._in_order.popleft()
            ends = self._ends.get(worker)
            if ends is None or ends[0] != end:  # settled in the meantime
                continue
            ends.popleft()
            if not ends:
                del self._ends[worker]
            yield worker
