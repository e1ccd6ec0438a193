"""Who has failed to load a model, and when to ask again. Pure: seconds of a monotonic clock come in."""

from dataclasses import dataclass
from typing import Final

from protocol.ids import ModelId, WorkerName

PAUSES_S: Final = (5.0, 15.0, 60.0, 300.0)
"""After the first failure, the second, …; the last one from then on."""
_FORGET_AFTER_S: Final = 3_600.0
"""A worker that may be asked again for so long, and was not, is none of our concern: names come and go."""


@dataclass(slots=True)
class _Failure:
    times: int
    until: float


class Patience:
    """Each worker and model by itself: what is broken at one worker may be whole at another."""

    def __init__(self, *, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._failures: dict[ModelId, dict[WorkerName, _Failure]] = {}

    def failed(self, worker: WorkerName, model: ModelId, now: float) -> float:
        """It could not; for how many seconds it is not asked again."""
        self._forget(now)
        of_model = self._failures.setdefault(model, {})
        failure = of_model.setdefault(worker, _Failure(0, now))
        pause_s = self._pauses_s[min(failure.times, len(self._pauses_s) - 1)]
        failure.times += 1
        failure.until = now + pause_s
        return pause_s

    def succeeded(self, worker: WorkerName, model: ModelId) -> None:
        """All is forgiven."""
        of_model = self._failures.get(model, {})
        of_model.pop(worker, None)
        if not of_model:
            self._failures.pop(model, None)

    def resting(self, model: ModelId, now: float) -> frozenset[WorkerName]:
        """Who is not to be asked for it yet."""
        of_model = self._failures.get(model)
        if of_model is None:
            return frozenset()
        return frozenset(worker for worker, failure in of_model.items() if now < failure.until)

    def _forget(self, now: float) -> None:
        for model, of_model in tuple(self._failures.items()):
            for worker, failure in tuple(of_model.items()):
                if now - failure.until > _FORGET_AFTER_S:
                    self.succeeded(worker, model)
