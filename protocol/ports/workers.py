"""Who works here: the registry, and what operators see and do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, ModelStatus


class WorkerRegistry(Protocol):
    """Which workers live. The view is kept up to date in memory; reading it costs nothing."""

    async def announce(self, announcement: Announcement) -> None:
        """Say that this worker lives, now and by heartbeat until withdrawn. A later call replaces what is said."""

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends."""

    async def watch(self, on_change: Callable[[WorkerName, Announcement | None], None]) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone)."""

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""

    async def close(self) -> None:
        """Withdraw what was announced and stop watching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """A worker and its models, as last heard.

    Attributes:
        models: its default first; taken from the announcement while the worker itself has told nothing.
        answers: False once it left a question unanswered, as a mirrored worker may that is on another bus.
    """

    worker: Announcement
    models: tuple[ModelStatus, ...] = ()
    answers: bool = True


class WorkerFleet(Protocol):
    """All workers and their models, for operators. On the loop."""

    def workers(self) -> Sequence[WorkerView]:
        """Those alive now, by name."""

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        """Ask all of them for their models, but for those that told less than `max_age_s` ago; waits 2 s at most."""

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call this on the loop at each change, models' included, until the result is called."""

    async def load(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Make a model resident; returns once it is.

        Raises:
            Refused: `no-such-worker`, `no-answer`, or what the worker says.
        """

    async def unload(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Give a model's memory back. Raises like `load`; `model-in-use` while somebody speaks with it."""

    async def drain(self, worker: WorkerName) -> WorkerView:
        """Let it finish and end. Raises like `load`; returns once it has understood, not when it has ended."""
