"""Which workers an operator means who names only a model. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from protocol.errors import Refused
from protocol.ids import ModelId
from protocol.ports import WorkerView
from protocol.workers import Announcement, ModelStatus


def announced_models(worker: Announcement) -> tuple[ModelStatus, ...]:
    """What an announcement tells of a worker's models, resident ones first."""
    resident = worker.resident_models
    known = (*resident, *(model for model in worker.models if model not in resident))
    return tuple(
        ModelStatus(
            model=model,
            state="resident" if model in resident else "known",
            languages=worker.model_languages.get(model, worker.capabilities.languages),
        )
        for model in known
    )


def lasting_of(models: Iterable[ModelStatus]) -> tuple[ModelStatus, ...]:
    """Without what changes by itself: the passing of time is no news."""
    return tuple(replace(status, idle_ms=0, retry_in_ms=0) for status in models)


def status_of(view: WorkerView, model: ModelId) -> ModelStatus | None:
    """What a worker says of one model; None when it does not have it."""
    return next((status for status in view.models if status.model == model), None)


def holders(workers: Iterable[WorkerView], model: ModelId) -> Sequence[WorkerView]:
    """Those that have it in memory."""
    return [view for view in workers if (found := status_of(view, model)) is not None and found.state == "resident"]


def where_to_load(workers: Iterable[WorkerView], model: ModelId) -> WorkerView:
    """The worker with most room among those that know the model: most free places, then fewest resident models.

    Raises:
        Refused: `no-such-model`, with the models that there are.
    """
    ready = [view for view in workers if view.worker.state == "ready" and view.answers]
    able = [view for view in ready if status_of(view, model) is not None]
    if not able:
        there_are = ", ".join(sorted({status.model for view in ready for status in view.models})) or "none at all"
        raise Refused("no-such-model", f"no worker that is ready knows {model}; there are: {there_are}")
    return min(able, key=_occupied)


def _occupied(view: WorkerView) -> tuple[int, int, str]:
    worker = view.worker
    return worker.sessions - worker.capacity, len(worker.resident_models), worker.name
