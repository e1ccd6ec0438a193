"""What models take, counted from the whole history each time anew: the slow way, to compare the policy with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actors.policies.resident import Need
from protocol.ids import ModelId


@dataclass
class NaiveMemory:
    """Attributes: estimates, the truth, and of each load what was measured (0: nothing), with its base or without."""

    needs: Mapping[ModelId, Need]
    truth: Mapping[ModelId, Need]
    history: list[tuple[ModelId, int, bool]] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return self.needs == self.truth

    def really(self, models: Iterable[ModelId]) -> int:
        """What they take."""
        every = tuple(models)
        own = sum(self.truth[model].own_mb for model in every)
        return own + sum({self.truth[m].base: self.truth[m].base_mb for m in every if self.truth[m].base}.values())

    def loading_takes(self, model: ModelId, *, with_base: bool) -> int:
        need = self.truth[model]
        return need.own_mb + (need.base_mb if with_base else 0)

    def counted(self, models: Iterable[ModelId]) -> int:
        """What is known of what they take."""
        total, seen = 0, set[ModelId]()
        for model in models:
            total += self._own(model)
            base = self.needs[model].base
            if base is not None and base not in seen:
                seen.add(base)
                total += self._base(base)
        return total

    def _own(self, model: ModelId) -> int:
        alone = [mb for who, mb, with_base in self.history if who == model and not self._explains(who, with_base)]
        return _believed(max(alone, default=0), self.needs[model].own_mb)

    def _base(self, base: ModelId) -> int:
        left = [
            mb - self._own(who)
            for who, mb, with_base in self.history
            if self.needs[who].base == base and self._explains(who, with_base)
        ]
        estimate = next(need.base_mb for need in self.needs.values() if need.base == base)
        return _believed(max(left, default=0), estimate)

    def _explains(self, model: ModelId, with_base: bool) -> bool:  # noqa: FBT001  # of an entry of the history
        return with_base and self.needs[model].base is not None


def _believed(measured: int, estimate: int) -> int:
    if measured <= 0:
        return estimate
    return measured if 2 * measured >= estimate - estimate % 2 else estimate // 2
