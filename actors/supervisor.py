"""Keeps the parts of a system running: starts them, says so, starts them again when they die, ends them together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from actors.policies.supervision import Supervision
from protocol.errors import AntiphonError

Clock = Callable[[], float]


class Part(Protocol):
    """Something that runs beside us."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def is_essential(self) -> bool:
        """Whether the others are of no use without it. The rest is started after all such parts serve."""

    @property
    def may_end(self) -> bool:
        """Whether its end with status 0 is what somebody asked it for: it is not started again then."""

    async def start(self) -> str:
        """Run it and return once it serves, with a few words on where.

        Raises:
            AntiphonError: it does not come up, and why.
        """

    async def wait(self) -> int:
        """Until it has ended; its exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it, by force if it takes too long. Harmless when it does not run."""


class Audience(Protocol):
    """Who is told what happens. Called on the loop."""

    def ready(self, part: str, detail: str, after_s: float) -> None:
        """It serves."""

    def lost(self, part: str, reason: str, pause_s: float) -> None:
        """It ended, or did not come up, and is started again after the pause."""

    def retired(self, part: str) -> None:
        """It ended because somebody asked it to, and stays ended."""


@dataclass(slots=True)
class _Kept:
    part: Part
    policy: Supervision = field(default_factory=Supervision)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Everything runs on the loop.

    Args:
        layers: of parts; they are ended from the last layer to the first. The essential ones are started side by
            side, then the others, which would only take the processor from them.
        audience: told what happens.
        clock: monotonic seconds.
    """

    def __init__(self, layers: Sequence[Sequence[Part]], *, audience: Audience, clock: Clock) -> None:
        self._layers = layers
        self._kept = [_Kept(part) for layer in layers for part in layer]
        self._audience = audience
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, stop: asyncio.Event, *, when_usable: Callable[[], None]) -> None:
        """Until `stop` is set; all parts have ended when this returns. `when_usable`: all essential ones serve.

        Raises:
            AntiphonError: an essential part could not be started the first time.
        """
        self._tasks = [asyncio.create_task(self._keep(kept), name=kept.part.name) for kept in self._kept]
        stopping = asyncio.create_task(stop.wait())
        usable = asyncio.create_task(self._usable(when_usable))
        try:
            done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # keeping a part only ends by its error
        finally:
            for task in (stopping, usable, *self._tasks):
                task.cancel()
            await asyncio.gather(stopping, usable, *self._tasks, return_exceptions=True)
            for layer in reversed(self._layers):
                await asyncio.gather(*(part.stop() for part in layer))

    async def _usable(self, when_usable: Callable[[], None]) -> None:
        await self._essential_ones()
        when_usable()

    async def _essential_ones(self) -> None:
        for kept in self._kept:
            if kept.part.is_essential:
                await kept.is_up.wait()

    async def _keep(self, kept: _Kept) -> None:
        if not kept.part.is_essential:
            await self._essential_ones()
        while True:
            reason = await self._run_once(kept)
            if reason is None:
                self._audience.retired(kept.part.name)
                await asyncio.Event().wait()  # whoever returns from here ends the system
                return
            pause_s = kept.policy.ended(self._clock())
            self._audience.lost(kept.part.name, reason, pause_s)
            await asyncio.sleep(pause_s)

    async def _run_once(self, kept: _Kept) -> str | None:
        """Start it and wait until it ends; returns why it did, None if it was asked to."""
        began = self._clock()
        try:
            detail = await kept.part.start()
        except AntiphonError as error:
            if kept.part.is_essential and not kept.is_up.is_set():
                raise
            return str(error)
        kept.policy.started(self._clock())
        self._audience.ready(kept.part.name, detail, self._clock() - began)
        kept.is_up.set()
        status = await kept.part.wait()
        return None if status == 0 and kept.part.may_end else said_of(status)


def said_of(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by signal {-status}"
    return f"ended with status {status}" if status else "ended"
