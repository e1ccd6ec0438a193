"""One at a time, in the order in which they came: a model that several threads use."""

import threading
from collections import deque
from types import TracebackType
from typing import Self


class Turnstile:
    """A lock that is fair: who asked first gets it first. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many threads stand before it now. On any thread: a moment later it may be another number."""
        return len(self._queue)

    def __enter__(self) -> Self:
        with self._guard:
            if not self._taken:
                self._taken = True
                return self
            gate = threading.Lock()
            gate.acquire()
            self._queue.append(gate)
        gate.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False
