"""What a worker tells of one of its models."""

from actors.policies.residency import Residency
from actors.voices import Voice
from protocol.ids import Millis
from protocol.workers import ModelState, ModelStatus


def status_of(voice: Voice, residency: Residency, now: Millis, *, users: int, waiting: int) -> ModelStatus:
    """As `list_models` answers; `users`: sessions that hold it, `waiting`: voices that wait for it as their base."""
    model = voice.model
    resident = residency[model]
    state: ModelState = "known"
    if resident.place == "resident":
        state = "resident"
    elif resident.place == "loading" or model in residency.waiting:
        state = "loading"
    elif resident.failures:
        state = "failed"
    return ModelStatus(
        model=model,
        state=state,
        title=voice.title[:200],
        languages=voice.languages,
        licence=voice.licence[:200],
        users=users,
        idle_ms=now - resident.last_used if resident.is_idle else 0,
        memory_mb=residency.footprint.shown_mb(model),
        base=resident.base if resident.base != model else None,
        shared_by=residency.footprint.sharing(model),
        waiting=waiting,
        is_default=model == residency.known[0],
        reason=resident.fault[:1000] if state == "failed" else "",
        retry_in_ms=residency.pause_ms(model, now) if state == "failed" else 0,
    )
