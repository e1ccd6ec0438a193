"""Where a session goes, and what becomes of a wish for a model that is in nobody's memory. Pure."""

from dataclasses import dataclass, replace

from actors.policies.roster import Roster, is_warm
from actors.policies.routing import Placement, Requirements, default_model
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.routing import WhenCold

NO_MODEL = ModelId("")
"""Of a worker that announces none, as recognizers of other systems may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who serves, and what is to be done about it.

    Attributes:
        placement: who serves.
        load: who is to be asked to load `placement.instead_of` in the background; None: nobody.
    """

    placement: Placement
    load: WorkerName | None = None


def place(
    roster: Roster,
    wanted: Requirements,
    *,
    when_cold: WhenCold,
    preferred: ModelId | None = None,
    tie: int = 0,
    unable_to_load: frozenset[WorkerName] = frozenset(),
) -> Decision:
    """The best worker and its model.

    Args:
        roster: who works here.
        wanted: without a model, `preferred` is meant, or any other if that one can't be had.
        when_cold: for a model that no worker with a free place has in memory. `fallback` is `wait` where there is
            nothing to fall back on.
        preferred: the deployment's default voice.
        tie: decides between equals.
        unable_to_load: workers that have just failed to load this model.

    Raises:
        Refused: as `Roster.choose` does; `model-not-resident`.
    """
    found = _find(roster, wanted, preferred, tie)
    if wanted.kind == "asr" or found.resident or when_cold == "wait":
        return Decision(placement=found)
    exact = replace(wanted, model=found.model)
    if when_cold == "refuse":
        holder = roster.choose_resident(exact, tie=tie, even_if_likely_full=True)
        if holder is not None:
            return Decision(placement=Placement(worker=holder, model=found.model))
        raise Refused(
            "model-not-resident",
            f"no worker that is free has {found.model} in memory; {found.worker.name} could load it",
        )
    fallback = _fall_back(roster, exact, found, preferred, tie)
    if fallback is None:
        return Decision(placement=found)
    return Decision(placement=fallback, load=_loader(roster, exact, found.worker.name, unable_to_load, tie))


def _find(roster: Roster, wanted: Requirements, preferred: ModelId | None, tie: int) -> Placement:
    """As if nobody minded waiting."""
    if wanted.model is not None:
        return Placement(worker=roster.choose(wanted, tie=tie), model=wanted.model)
    if preferred is not None and wanted.kind == "tts":
        try:
            return Placement(worker=roster.choose(replace(wanted, model=preferred), tie=tie), model=preferred)
        except Refused:
            pass  # nobody asked for it: any other voice will do
    worker = roster.choose(wanted, tie=tie)
    return Placement(worker=worker, model=default_model(worker, wanted.language) or NO_MODEL)


def _fall_back(
    roster: Roster, exact: Requirements, found: Placement, preferred: ModelId | None, tie: int
) -> Placement | None:
    """Who can begin at once.

    With the default voice; else with one of the worker that is going to load (it is of the same family, and the session
    need not move later); else with any that knows the language.
    """
    if preferred is not None and preferred != found.model:
        worker = roster.choose_resident(replace(exact, model=preferred), tie=tie)
        if worker is not None:
            return Placement(worker=worker, model=preferred, instead_of=found.model)
    anything = replace(exact, model=None)
    worker = found.worker if is_warm(found.worker, anything) else roster.choose_resident(anything, tie=tie)
    model = None if worker is None else default_model(worker, exact.language)
    if worker is None or model is None:
        return None
    return Placement(worker=worker, model=model, instead_of=found.model)


def _loader(
    roster: Roster, exact: Requirements, best: WorkerName, unable: frozenset[WorkerName], tie: int
) -> WorkerName | None:
    if best not in unable:
        return best
    try:
        return roster.choose(replace(exact, avoid=exact.avoid | unable), tie=tie).name
    except Refused:
        return None
