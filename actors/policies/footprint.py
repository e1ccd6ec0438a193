"""How much memory models take together: each what is its own, and what several of them share once. Pure.

An adapter's own is the adapter, and its base another model's weights. A model that adapts none is a base itself, with
next to nothing of its own besides: so a voice of the base and adapters of it share it. What a load has taken is both if
it brought the base, else the model's own. Of both, the base's is what the model's own does not explain, which is first
estimated and then known, once the model was loaded without the base.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actors.policies.resident import Need, Resident, at, believed
from protocol.ids import ModelId


@dataclass(slots=True)
class _Base:
    """Weights that models share.

    Attributes:
        estimated_mb: by the voice pack of the model that they are.
        together: loads that brought them and a model, by the most that was measured of each. How much of that is the
            base's is what the model does not take by itself, as far as that is known by now.
    """

    estimated_mb: int = 0
    together: dict[ModelId, tuple[int, Resident]] = field(default_factory=dict)

    @property
    def memory_mb(self) -> int:
        measured = max((both - resident.memory_mb for both, resident in self.together.values()), default=0)
        return believed(measured, self.estimated_mb)


class Footprint:
    """Estimated by voice packs, corrected by what was measured at loading."""

    def __init__(self, models: Mapping[ModelId, Resident]) -> None:
        self._models = models
        self._bases: dict[ModelId, _Base] = {}

    def know(self, needs: Iterable[Need]) -> None:
        """What the models' voice packs say now."""
        for need in needs:
            if need.base is not None:
                base = self._bases.setdefault(need.base, _Base())
                base.estimated_mb = need.base_mb or base.estimated_mb  # 0: its pack has gone, though it may be here

    def measure(self, model: ModelId, measured_mb: int, *, with_base: bool) -> None:
        """So much a load took, that of the base included if it was not there before; 0: nobody measured."""
        resident = self._models[model]
        if resident.base is None or not with_base:
            resident.measured_mb = max(resident.measured_mb, measured_mb)
        elif measured_mb:
            together = self._bases[resident.base].together
            before, _ = together.get(model, (0, resident))
            together[model] = max(before, measured_mb), resident

    def of(self, models: Iterable[ModelId]) -> int:
        """In MB, of all of them together."""
        residents = [self._models[model] for model in models]
        bases = {resident.base for resident in residents if resident.base is not None}
        return sum(resident.memory_mb for resident in residents) + sum(self._bases[base].memory_mb for base in bases)

    @property
    def total_mb(self) -> int:
        """Of all that are in memory, or are coming or going."""
        return self.of(self._held())

    def shown_mb(self, model: ModelId) -> int:
        """What is a model's own and, of a base, what it shares: nothing is shown with two models."""
        shared = self._bases[model].memory_mb if model in self._bases else 0
        return self._models[model].memory_mb + shared

    def sharing(self, model: ModelId) -> int:
        """How many other models keep its weights in memory, as their base."""
        return sum(self._models[other].base == model for other in self._held() if other != model)

    def _held(self) -> list[ModelId]:
        return at(self._models, "loading", "resident", "leaving")
