"""One 20 ms clock for all connections of a process, instead of a timer for each."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

import structlog

from protocol.audio import FRAME_MS

PERIOD_S: Final = FRAME_MS / 1000
PHASES: Final = 5
"""Connections are spread over the period, so that the last of many does not wait for all the others."""

OnTick = Callable[[int], None]
log = structlog.get_logger()


class _Phase:
    """Those that are served at the same moment. The grid is fixed to the loop's clock, so that it does not drift."""

    def __init__(self, loop: asyncio.AbstractEventLoop, offset_s: float) -> None:
        self._loop = loop
        self._offset_s = offset_s
        self._members: dict[object, OnTick] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._members)

    def join(self, token: object, on_tick: OnTick) -> None:
        self._members[token] = on_tick
        if self._timer is None:
            self._wait()

    def leave(self, token: object) -> None:
        self._members.pop(token, None)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> int:
        return math.floor((self._loop.time() - self._offset_s) / PERIOD_S + 1e-6)

    def _wait(self) -> None:
        self._timer = self._loop.call_at((self._now() + 1) * PERIOD_S + self._offset_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._now()
        for token, on_tick in list(self._members.items()):
            if token not in self._members:
                continue  # has left since this tick began
            try:
                on_tick(now)
            except Exception:
                # One connection's fault must not silence the others.
                log.exception("a connection failed at its tick and gets no more")
                self._members.pop(token, None)
        if self._members and self._timer is None:
            self._wait()


class Ticker:
    """Calls each member once per 20 ms, on the loop, with the number of the period (a late call skips numbers)."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        loop = loop or asyncio.get_running_loop()
        self._phases = [_Phase(loop, index * PERIOD_S / PHASES) for index in range(PHASES)]

    def join(self, on_tick: OnTick) -> Callable[[], None]:
        """Be called from the next period on; returns how to leave, which is harmless when repeated."""
        phase = min(self._phases, key=len)
        token = object()
        phase.join(token, on_tick)
        return lambda: phase.leave(token)
