"""How much memory models take together: each what is its own, and what several of them share once. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.policies.resident import Need, Resident, believed
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

    def __init__(self) -> None:
        self._bases: dict[ModelId, _Base] = {}

    def know(self, needs: Iterable[Need]) -> None:
        """What the models' voice packs say now."""
        for need in needs:
            if need.base is not None:
                base = self._bases.setdefault(need.base, _Base())
                base.estimated_mb = need.base_mb or base.estimated_mb  # 0: its pack has gone, though it may be here

    def measure(self, model: ModelId, resident: Resident, measured_mb: int, *, with_base: bool) -> None:
        """So much a load took, that of the base included if it was not there before; 0: nobody measured."""
        if resident.base is None or not with_base:
            resident.measured_mb = max(resident.measured_mb, measured_mb)
        elif measured_mb:
            together = self._bases[resident.base].together
            before, _ = together.get(model, (0, resident))
            together[model] = max(before, measured_mb), resident

    def of(self, residents: Iterable[Resident]) -> int:
        """In MB, of all of them together."""
        every = tuple(residents)
        bases = {resident.base for resident in every if resident.base is not None}
        return sum(resident.memory_mb for resident in every) + sum(self._bases[base].memory_mb for base in bases)

    def of_base(self, base: ModelId) -> int:
        """In MB, of the weights alone; 0 for what is none."""
        return self._bases[base].memory_mb if base in self._bases else 0
