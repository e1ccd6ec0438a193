"""The bridge between two registries: who is announced in one of them is announced in the other as well."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from adapters.registry import metrics
from adapters.registry.bridge_rule import mirrored
from protocol.errors import BusUnavailable
from protocol.ids import UnixMicros, WorkerName
from protocol.ports import WorkerRegistry
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)

_SETTLED_S: Final = 0.5
"""A registry may tell of those who are there already only after `watch` has returned."""
_RETRY_S: Final = 1.0


class MirroringRegistry(WorkerRegistry, Protocol):
    """A registry that can leave an entry to others."""

    async def release(self, name: WorkerName) -> None:
        """Say nothing of it any more, without saying that it ends."""


class Bridge:
    """Mirrors both ways, marks what it mirrored, and takes it back when its worker has gone.

    When the bridge itself ends, it takes nothing back: another one may renew the same entries, else they expire.
    Everything runs on the loop.

    Args:
        registries: two of them by name, e.g. `nats` and `redis`; closing them is up to who made them.
        now: of the wall clock.
    """

    def __init__(self, registries: dict[str, MirroringRegistry], *, now: Callable[[], UnixMicros]) -> None:
        (one, other) = registries
        self._views = {name: _View(name, registry) for name, registry in registries.items()}
        self._mirrors = [
            _Mirror(self._views[source], self._views[target], now) for source, target in ((one, other), (other, one))
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; returns once both registries are read.

        Raises:
            BusUnavailable: one of them is not there.
        """
        for view in self._views.values():
            await view.registry.watch(view.heard)
        await asyncio.sleep(_SETTLED_S)
        self._tasks = [asyncio.create_task(mirror.run(), name="bridge") for mirror in self._mirrors]

    async def close(self) -> None:
        """Stop, and leave what was mirrored to the other bridges or to its end."""
        for mirror in self._mirrors:
            mirror.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for mirror in self._mirrors:
            await mirror.release_all()


class _View:
    """One registry, as it was last heard of."""

    def __init__(self, name: str, registry: MirroringRegistry) -> None:
        self.name = name
        self.registry = registry
        self.workers: dict[WorkerName, Announcement] = {}
        self.on_change: list[Callable[[WorkerName], None]] = []

    def heard(self, name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is None:
            self.workers.pop(name, None)
        else:
            self.workers[name] = announcement
        for tell in self.on_change:
            tell(name)


class _Mirror:
    """One direction."""

    def __init__(self, source: _View, target: _View, now: Callable[[], UnixMicros]) -> None:
        self._source = source
        self._target = target
        self._now = now
        self._first_seen: dict[WorkerName, UnixMicros] = {}
        self._said: dict[WorkerName, Announcement] = {}
        self._changed: dict[WorkerName, None] = {}
        self._wake = asyncio.Event()
        self._is_failing = False
        self._is_stopped = False
        source.on_change.append(self._touch)
        target.on_change.append(self._touch)

    async def run(self) -> None:
        """Until it is stopped."""
        while not self._is_stopped:  # the clients of both servers may swallow a cancellation
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._changed and not self._is_stopped:
                    name = next(iter(self._changed))
                    await self._settle(name)
            except BusUnavailable as error:
                if not self._is_failing:
                    _LOG.warning("not mirrored", to=self._target.name, reason=str(error))
                self._is_failing = True
                await asyncio.sleep(_RETRY_S)
                self._wake.set()
            else:
                self._is_failing = False

    def stop(self) -> None:
        """Say nothing new."""
        self._is_stopped = True
        self._wake.set()

    async def release_all(self) -> None:
        """Say nothing more."""
        for name in self._said:
            await self._target.registry.release(name)
        self._said.clear()

    def _touch(self, name: WorkerName) -> None:
        if name in self._source.workers:
            self._first_seen.setdefault(name, self._now())
        else:
            self._first_seen.pop(name, None)
        self._changed[name] = None
        self._wake.set()

    async def _settle(self, name: WorkerName) -> None:
        """Say there what is to be said of `name` now.

        Raises:
            BusUnavailable: it is not taken there; to be tried again.
        """
        self._changed.pop(name)
        here, there = self._source.workers.get(name), self._target.workers.get(name)
        wanted = mirrored(here, there, self._first_seen.get(name, UnixMicros(0)))
        if wanted is not None and here is not None and not here.started_at:
            # Kept: an echo of what we said before we knew better must not make us say it again.
            self._first_seen[name] = wanted.started_at
        if wanted is None:
            await self._take_back(name, there)
        elif self._said.get(name) != wanted:
            await self._say(wanted)
        metrics.MIRRORED.labels(self._target.name).set(len(self._said))

    async def _say(self, wanted: Announcement) -> None:
        name = wanted.name
        is_new = name not in self._said
        try:
            await self._target.registry.announce(wanted)
        except BusUnavailable:
            self._changed[name] = None
            raise
        self._said[name] = wanted
        if is_new:
            _LOG.info("mirrored", worker=name, to=self._target.name)

    async def _take_back(self, name: WorkerName, there: Announcement | None) -> None:
        if self._said.pop(name, None) is None:
            return
        if there is not None and not there.via:
            await self._target.registry.release(name)
            _LOG.info("speaks for itself now", worker=name, at=self._target.name)
        else:
            await self._target.registry.withdraw(name)
            _LOG.info("gone", worker=name, at=self._target.name)
