"""Why nobody can serve a request: how far the best of them came. Pure."""

from collections.abc import Sequence
from typing import Final

from actors.policies.routing import Requirements, misfit, models
from protocol.errors import Refused
from protocol.workers import Announcement

_CODES: Final = {
    "no-such-model": "no-such-model",
    "wrong-language": "no-such-language",
    "no-capability": "no-such-capability",
    "wrong-sample-rate": "no-such-sample-rate",
}
"""By what the nearest one lacked; in the order in which it is asked."""
_STAGES: Final = tuple(_CODES)
_EXAMPLES: Final = 3


def refusal(wanted: Requirements, *, able: Sequence[Announcement], all_of_kind: Sequence[Announcement]) -> Refused:
    """The error to raise.

    Args:
        wanted: what was asked for.
        able: those who could serve it if they were ready, free and not to be avoided.
        all_of_kind: the others as well.
    """
    kind = wanted.kind
    if not able:
        return _nobody_able(wanted, all_of_kind)
    ready = [worker for worker in able if worker.state == "ready"]
    if not ready:
        states = ", ".join(f"{worker.name} is {worker.state}" for worker in able[:_EXAMPLES])
        return Refused("no-worker", f"no {kind} worker that could serve this is ready: {states}")
    if all(worker.name in wanted.avoid for worker in ready):
        return Refused("no-other-worker", f"no other {kind} worker than {_names(ready)} could serve this")
    return Refused("no-capacity", f"every {kind} worker that could serve this is full; try later, or start another")


def _nobody_able(wanted: Requirements, workers: Sequence[Announcement]) -> Refused:
    faults = [fault for worker in workers if (fault := misfit(worker, wanted)) is not None]
    if not faults:
        return Refused("no-worker", f"no {wanted.kind} worker is ready; is one running?")
    furthest = max(faults, key=lambda fault: _STAGES.index(fault.verdict))
    if furthest.verdict == "no-such-model":
        reason = f"no worker has {wanted.model or 'a model'}; there are: {', '.join(models(workers)) or 'none'}"
    elif furthest.verdict == "wrong-language":
        reason = f"no {wanted.kind} worker that could serve this knows {wanted.language!r}"
    else:
        reason = f"no {wanted.kind} worker could serve this; the nearest one {furthest.reason}"
    return Refused(_CODES[furthest.verdict], reason)


def _names(workers: Sequence[Announcement]) -> str:
    more = len(workers) - _EXAMPLES
    return ", ".join(worker.name for worker in workers[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
