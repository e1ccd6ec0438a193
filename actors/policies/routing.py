"""Which worker serves a request: what can be asked for, and who can do it. Pure.

docs/routing.md states the rules; `actors.policies.roster` chooses by them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from protocol.ids import ModelId, WorkerName
from protocol.routing import Need
from protocol.workers import Announcement, WorkerKind

Verdict = Literal[
    "chosen",
    "starting",
    "draining",
    "no-such-model",
    "wrong-language",
    "no-capability",
    "wrong-sample-rate",
    "avoided",
    "full",
    "not-resident",
    "longer-queue",
    "slower",
    "busier",
    "equal",
]
"""Why a worker won or lost: down to `full` it could not serve, after that another one is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a session asks for; None takes any.

    Attributes:
        language: of the model that is named; without one, of any model that the worker has.
        needs: capabilities that the worker must announce.
        sample_rate: that it must speak with, in Hz.
        avoid: workers that are out of the question, e.g. because they have just refused.
    """

    kind: WorkerKind
    language: str
    model: ModelId | None = None
    needs: tuple[Need, ...] = ()
    sample_rate: int | None = None
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


class Misfit(NamedTuple):
    """Why a worker cannot serve."""

    verdict: Verdict
    reason: str


def misfit(worker: Announcement, wanted: Requirements) -> Misfit | None:
    """What the worker lacks, whatever its load is; None if it can serve. It is of the right kind."""
    if wanted.model is not None and wanted.model not in worker.models:
        return Misfit("no-such-model", f"has {_listed(worker.models)}")
    if worker.kind == "tts" and not worker.models:
        return Misfit("no-such-model", "has no model")
    if not speaks(worker, wanted.language, wanted.model):
        who = wanted.model or worker.kind
        return Misfit("wrong-language", f"{who} knows {_listed(_languages(worker, wanted.model))}")
    lacking = [need for need in wanted.needs if not getattr(worker.capabilities, need)]
    if lacking:
        return Misfit("no-capability", f"lacks {_listed(lacking)}")
    rates = worker.capabilities.sample_rates
    if wanted.sample_rate is not None and wanted.sample_rate not in rates:
        return Misfit("wrong-sample-rate", f"sends {_listed(str(rate) for rate in rates)} Hz")
    return None


def speaks(worker: Announcement, language: str, model: ModelId | None = None) -> bool:
    """`en` serves `en-US`, and the other way round: a dialect is better than silence."""
    primary = _primary(language)
    return any(_primary(known) == primary for known in _languages(worker, model))


def default_model(worker: Announcement, language: str | None = None) -> ModelId | None:
    """What a worker speaks with when nobody asked: the first one in memory that knows the language, else any that does.

    Args:
        worker: whose models are meant.
        language: None for any.
    """
    fitting = (m for m in (*worker.resident_models, *worker.models) if language is None or speaks(worker, language, m))
    return next(fitting, None)


def models(workers: Iterable[Announcement]) -> Sequence[ModelId]:
    """All that are offered, each once, in alphabetical order."""
    return sorted({model for worker in workers for model in worker.models})


def _languages(worker: Announcement, model: ModelId | None) -> Iterable[str]:
    """Of this model; of any of them without one. A model that is not told apart speaks all that the worker does."""
    declared = worker.capabilities.languages
    if model is not None:
        return worker.model_languages.get(model, declared)
    if not worker.models:
        return declared
    return dict.fromkeys(language for m in worker.models for language in worker.model_languages.get(m, declared))


def _primary(language: str) -> str:
    return language.partition("-")[0]


def _listed(names: Iterable[str]) -> str:
    """At most eight: a worker may have hundreds of models, or a hundred languages."""
    few = sorted(names)
    more = f" and {len(few) - 8} more" if len(few) > 8 else ""  # noqa: PLR2004  # as the docstring says
    return ", ".join(few[:8]) + more if few else "nothing"
