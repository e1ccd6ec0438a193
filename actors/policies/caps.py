"""Who has to go so that the models in memory keep to the caps. Pure."""

from collections.abc import Mapping, Sequence

from actors.policies.footprint import Footprint
from actors.policies.resident import EvictReason, Limits, Resident, at
from protocol.ids import Millis, ModelId


class Caps:
    """Looks at the models, and changes nothing."""

    def __init__(self, models: Mapping[ModelId, Resident], footprint: Footprint, limits: Limits) -> None:
        self._models = models
        self._footprint = footprint
        self._limits = limits

    def excess(self, models: Sequence[ModelId]) -> EvictReason | None:
        """The cap that these models together exceed, memory first."""
        cap = self._limits.memory_cap_mb
        if cap is not None and self._footprint.of(models) > cap:
            return "memory"
        return "cap" if len(models) > self._limits.resident_cap else None

    def victims(self, now: Millis, *, last: ModelId | None) -> list[ModelId]:
        """The idle models, who goes first first; `last` after all others."""
        shielded = self._limits.min_residency_ms

        def rank(model: ModelId) -> tuple[bool, bool, Millis]:
            resident = self._models[model]
            return model == last, now < resident.loaded_at + shielded, resident.last_used

        return sorted((model for model, resident in self._models.items() if resident.is_idle), key=rank)

    def room_for(
        self, model: ModelId, victims: Sequence[ModelId]
    ) -> tuple[list[tuple[ModelId, EvictReason]], EvictReason | None]:
        """Whom to evict for it, and what would still be exceeded."""
        kept = [*at(self._models, "resident", "loading"), model]
        evicted: list[tuple[ModelId, EvictReason]] = []
        left = iter(victims)
        while (reason := self.excess(kept)) is not None:
            victim = next(left, None)
            if victim is None:
                return evicted, reason
            kept.remove(victim)
            evicted.append((victim, reason))
        return evicted, None

    def has_to_wait(self, model: ModelId) -> bool:
        """For memory that is not back yet: that of models which leave, or its base, which leaves with the last one.

        To be loaded while its base is being dropped would mean two of it for a moment, or to find one that goes.
        """
        leaving, staying = at(self._models, "leaving"), at(self._models, "resident", "loading")
        base = self._models[model].base
        if base is not None and base in self._bases(leaving) and base not in self._bases(staying):
            return True
        return bool(leaving) and self.excess([*staying, *leaving, model]) is not None

    def refusal(self, model: ModelId, excess: EvictReason) -> str:
        """Why there is no room for it."""
        limits = self._limits
        if excess == "cap":
            return f"{model} has no place: resident_cap is {limits.resident_cap}, and as many models are in use"
        used = [other for other in at(self._models, "resident", "loading") if self._models[other].holds]
        used_mb = self._footprint.of(used)
        return (
            f"{model} needs {self._footprint.of([*used, model]) - used_mb} MB of memory_cap_mb {limits.memory_cap_mb}, "
            f"of which {used_mb} MB are in use"
        )

    def _bases(self, models: Sequence[ModelId]) -> set[ModelId | None]:
        return {self._models[model].base for model in models}
