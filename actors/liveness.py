"""A registry in which a worker that has fallen silent is gone at once, not only when its entry expires."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from actors import metrics
from actors.peer_ports import CallLater, Cancel, Clock
from actors.policies.liveness import LIMIT_MS, Liveness
from protocol.ids import Millis, WorkerName
from protocol.ports import Bus, Respond, Subscription, WorkerRegistry
from protocol.subjects import Subject, parse, worker_event
from protocol.workers import Announcement, Pulse

_TICK_S: Final = 0.05
_LATE_S: Final = 0.1
"""A tick that is later than this was held up by our own loop: what others said meanwhile may lie unread."""
_RECONNECT_MS: Final = 3_000
"""After an outage of the bus each worker finds its own way back."""

log = structlog.get_logger()

OnChange = Callable[[WorkerName, Announcement | None], None]


def _call_later(delay_s: float, call: Cancel) -> Cancel:
    return asyncio.get_running_loop().call_later(delay_s, call).cancel


class LivingRegistry:
    """Another registry's view, less those whose pulse has stopped. Implements `protocol.ports.WorkerRegistry`.

    Everything runs on the loop. Nobody is condemned for a time in which we could not have heard them.
    """

    def __init__(
        self,
        registry: WorkerRegistry,
        bus: Bus,
        *,
        limit_ms: Millis = LIMIT_MS,
        clock: Clock = time.monotonic,
        call_later: CallLater = _call_later,
    ) -> None:
        self._registry = registry
        self._bus = bus
        self._clock = clock
        self._call_later = call_later
        self._liveness = Liveness(limit_ms=limit_ms)
        self._known: dict[WorkerName, Announcement] = {}
        self._on_change: OnChange | None = None
        self._pulses: Subscription | None = None
        self._call_off: Cancel | None = None
        self._due = 0.0
        bus.on_reconnect(self._excuse_all)

    async def announce(self, announcement: Announcement) -> None:
        """As the registry beneath does."""
        await self._registry.announce(announcement)

    async def withdraw(self, name: WorkerName) -> None:
        """As the registry beneath does."""
        await self._registry.withdraw(name)

    async def watch(self, on_change: OnChange) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone, or silent).

        Raises:
            BusUnavailable: by the registry beneath.
        """
        self._on_change = on_change
        if self._pulses is None:
            self._pulses = await self._bus.subscribe(worker_event(), self._on_pulse)
            self._schedule()
        await self._registry.watch(self._changed)

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""
        known = self._registry.snapshot()
        if self._liveness.all_live:
            return known
        return tuple(worker for worker in known if self._liveness.lives(worker.name))

    async def close(self) -> None:
        """Judge nobody any more, and close the registry beneath."""
        self._on_change = None
        if self._pulses is not None:
            self._pulses.cancel()
        if self._call_off is not None:
            self._call_off()
        await self._registry.close()

    # --- what is heard ----------------------------------------------------------------------------------------------
    def _changed(self, name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is None:
            was_here = self._known.pop(name, None) is not None and self._liveness.lives(name)
            self._liveness.withdrawn(name)
            if was_here:
                self._tell(name, None)
            return
        self._known[name] = announcement
        self._liveness.announced(announcement, self._now())
        if self._liveness.lives(name):
            self._tell(name, announcement)

    def _on_pulse(self, subject: Subject, message: Any, _respond: Respond | None) -> None:
        if not isinstance(message, Pulse) or message.worker != parse(subject).worker:
            return  # who may publish there is known; who is named in a message is not
        name, now = message.worker, self._now()
        silent_for = self._liveness.silent_for(name, now)
        if self._liveness.pulsed(name, message.started_at, now) and name in self._known:
            log.warning("a silent worker is back", worker=name, silent_ms=silent_for)
            metrics.WORKERS_BACK.inc()
            self._tell(name, self._known[name])

    # --- who is not heard -------------------------------------------------------------------------------------------
    def _schedule(self) -> None:
        self._due = self._clock() + _TICK_S
        self._call_off = self._call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        late_s = self._clock() - self._due
        if not self._bus.is_connected:
            self._liveness.excuse(self._now())
        elif late_s > _LATE_S:
            self._liveness.forgive(Millis(int(late_s * 1000)), self._now())
        for name in self._liveness.expire(self._now()):
            log.warning("a worker is silent", worker=name, silent_ms=self._liveness.silent_for(name, self._now()))
            metrics.WORKERS_SILENT.inc()
            self._tell(name, None)
        self._schedule()

    def _excuse_all(self) -> None:
        self._liveness.excuse(Millis(self._now() + _RECONNECT_MS))

    def _now(self) -> Millis:
        return Millis(int(self._clock() * 1000))

    def _tell(self, name: WorkerName, announcement: Announcement | None) -> None:
        if self._on_change is not None:
            self._on_change(name, announcement)
