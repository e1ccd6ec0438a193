"""Which worker serves a request. Pure: announcements come in, the choice goes out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, WorkerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a session asks for; `model` None takes any."""

    kind: WorkerKind
    language: str
    model: ModelId | None = None
    avoid: frozenset[WorkerName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Who is to speak, and with which model.

    Attributes:
        instead_of: the model that was wanted and is in nobody's memory; `model` is spoken with until it is.
    """

    worker: Announcement
    model: ModelId
    instead_of: ModelId | None = None

    @property
    def resident(self) -> bool:
        """Whether the worker has the model in memory."""
        return self.model in self.worker.resident_models


def choose(workers: Iterable[Announcement], wanted: Requirements) -> Announcement:
    """The worker that answers soonest: its model in memory, the shortest queue, the fewest sessions, the lowest p50.

    Raises:
        Refused: `no-worker`, `no-such-model`, `no-such-language`, `no-capacity`: the first filter that left nobody.
    """
    of_kind = [w for w in workers if w.kind == wanted.kind and w.state == "ready" and w.name not in wanted.avoid]
    if not of_kind:
        raise Refused("no-worker", f"no {wanted.kind} worker is ready; is one running?")
    able = [w for w in of_kind if wanted.model is None or wanted.model in w.models]
    if not able:
        raise Refused("no-such-model", f"no worker has {wanted.model}; there are: {', '.join(models(of_kind))}")
    speaking = [w for w in able if speaks(w, wanted.language)]
    if not speaking:
        raise Refused("no-such-language", f"no {wanted.kind} worker that could serve this knows {wanted.language!r}")
    free = [w for w in speaking if w.sessions < w.capacity]
    if not free:
        raise Refused("no-capacity", f"every {wanted.kind} worker is full; try again later, or start another")
    return min(free, key=lambda worker: _cost(worker, wanted.model))


def _cost(worker: Announcement, model: ModelId | None) -> tuple[bool, int, int, float, str]:
    is_cold = model not in worker.resident_models if model is not None else not worker.resident_models
    load = worker.metrics
    return is_cold, load.queue_depth, worker.sessions, load.p50_first_audio_ms, worker.name


def speaks(worker: Announcement, language: str) -> bool:
    """`en` serves `en-US`, and the other way round: a dialect is better than silence."""
    primary = language.partition("-")[0]
    return any(known.partition("-")[0] == primary for known in worker.capabilities.languages)


def models(workers: Iterable[Announcement]) -> Sequence[ModelId]:
    """All that are offered, each once, in alphabetical order."""
    return sorted({model for worker in workers for model in worker.models})


def default_model(worker: Announcement) -> ModelId | None:
    """What a worker speaks with when nobody asked: the first one in memory, else the first one it has."""
    return next(iter((*worker.resident_models, *worker.models)), None)
