"""A worker's pulse: says several times a second that its loop is alive. On the loop."""

import asyncio
from types import TracebackType
from typing import Final, Self

from protocol.ids import UnixMicros, WorkerName
from protocol.ports import Bus
from protocol.subjects import worker_event
from protocol.workers import Pulse

PULSE_MS: Final = 250


class Pulsing:
    """A context in which the worker pulses, every `PULSE_MS` on a grid of its own.

    Nothing is sent while the bus is down: a pulse that comes later would speak of a moment that is over.
    """

    def __init__(self, bus: Bus, worker: WorkerName, started_at: UnixMicros) -> None:
        self._bus = bus
        self._subject = worker_event(worker)
        self._pulse = Pulse(worker=worker, started_at=started_at)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._beat(asyncio.get_running_loop().time())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        if self._bus.is_connected:
            self._bus.publish(self._subject, self._pulse)
        following = max(due + PULSE_MS / 1000, loop.time())  # what a busy loop has missed is not made up for
        self._timer = loop.call_at(following, self._beat, following)
