"""Which workers have fallen silent though they should pulse. Pure: `now` comes in."""

from dataclasses import dataclass
from typing import Final

from protocol.ids import Millis, UnixMicros, WorkerName
from protocol.workers import Announcement

LIMIT_MS: Final = Millis(750)
"""Three pulses; docs/performance.md says how long a loaded worker really pauses between two."""
FIRST_MS: Final = Millis(3_000)
"""For the first pulse of a worker that is announced: the registry may remember one that died before we came."""
_PULSES: Final = 3


@dataclass(slots=True)
class _Heart:
    started_at: UnixMicros
    patience_ms: int
    heard_at: float
    beats: bool = False
    silent: bool = False


class Liveness:
    """The workers that promise pulses, and when each was heard last.

    A worker is condemned once, by `expire`, and lives again by its next pulse. Who promises no pulse (`pulse_ms` 0), or
    is mirrored from another registry whose pulses do not come here, is never judged.
    """

    def __init__(self, *, limit_ms: Millis = LIMIT_MS, first_ms: Millis = FIRST_MS) -> None:
        self._limit_ms = limit_ms
        self._first_ms = first_ms
        self._hearts: dict[WorkerName, _Heart] = {}

    def announced(self, worker: Announcement, now: Millis) -> None:
        """It is known; under a new `started_at` it is a new worker, and nothing is held against it."""
        known = self._hearts.get(worker.name)
        promises = worker.pulse_ms > 0 and not worker.via
        if known is not None and known.started_at == worker.started_at:
            known.patience_ms = self._patience(worker)
        elif promises:
            self._hearts[worker.name] = _Heart(worker.started_at, self._patience(worker), now)
        else:
            self._hearts.pop(worker.name, None)

    def withdrawn(self, name: WorkerName) -> None:
        """It is known no more."""
        self._hearts.pop(name, None)

    def pulsed(self, name: WorkerName, started_at: UnixMicros, now: Millis) -> bool:
        """It lives; True when it had been condemned. Of somebody unknown, or of a predecessor, it means nothing."""
        heart = self._hearts.get(name)
        if heart is None or heart.started_at != started_at:
            return False
        returns, heart.silent = heart.silent, False
        heart.beats = True
        heart.heard_at = max(heart.heard_at, now)
        return returns

    def expire(self, now: Millis) -> list[WorkerName]:
        """Those that are found silent now: they count as gone."""
        found = [name for name, heart in self._hearts.items() if not heart.silent and now >= self._due(heart)]
        for name in found:
            self._hearts[name].silent = True
        return found

    def excuse(self, until: Millis) -> None:
        """Nobody could be heard until then: nobody's silence before it counts."""
        for heart in self._hearts.values():
            heart.heard_at = max(heart.heard_at, until)

    def forgive(self, for_ms: Millis, now: Millis) -> None:
        """We could not listen for so long: it is taken off everybody's silence."""
        for heart in self._hearts.values():
            heart.heard_at = min(max(heart.heard_at, now), heart.heard_at + for_ms)

    def silent_for(self, name: WorkerName, now: Millis) -> Millis:
        """Since it was heard of; 0 if it is not judged."""
        heart = self._hearts.get(name)
        return Millis(0 if heart is None else max(0, int(now - heart.heard_at)))

    def lives(self, name: WorkerName) -> bool:
        """Whether nothing is held against it."""
        heart = self._hearts.get(name)
        return heart is None or not heart.silent

    @property
    def all_live(self) -> bool:
        """Whether nobody is condemned."""
        return not any(heart.silent for heart in self._hearts.values())

    def _patience(self, worker: Announcement) -> int:
        return max(self._limit_ms, _PULSES * worker.pulse_ms)

    def _due(self, heart: _Heart) -> float:
        return heart.heard_at + (heart.patience_ms if heart.beats else max(self._first_ms, heart.patience_ms))
