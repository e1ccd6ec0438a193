"""What the residency policy knows of one model, and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from protocol.ids import Millis, ModelId

Place = Literal["absent", "loading", "resident", "leaving"]
"""`leaving`: to be unloaded, but its memory is not back yet."""
EvictReason = Literal["ttl", "cap", "memory", "reload", "asked"]

_LONGEST_PAUSE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a deployment allows.

    Attributes:
        ttl_ms: nobody used it for so long: it goes.
        min_residency_ms: after loading it stays so long, unless a cap needs its place.
        resident_cap: how many models are kept; more only while all of them are in use.
        memory_cap_mb: of all models together; None: no limit.
        max_parallel_loads: at the same time.
        first_pause_ms, longest_pause_ms: before a failed load is tried again; doubled by each failure in a row.
    """

    ttl_ms: int = 600_000
    min_residency_ms: int = 120_000
    resident_cap: int = 3
    memory_cap_mb: int | None = None
    max_parallel_loads: int = 1
    first_pause_ms: int = 1_000
    longest_pause_ms: int = 300_000

    def pause_ms(self, failures: int) -> int:
        """Before the next try, after so many failures in a row."""
        return min(self.first_pause_ms * min(1 << (failures - 1), _LONGEST_PAUSE), self.longest_pause_ms)


@dataclass(frozen=True, slots=True)
class Load:
    """Begin to load it; answered by `loaded`, `failed` or `gone`."""

    model: ModelId


@dataclass(frozen=True, slots=True)
class Evict:
    """Unload it; answered by `gone` when its memory is back."""

    model: ModelId
    reason: EvictReason


@dataclass(frozen=True, slots=True)
class Refuse:
    """It will not be loaded: what is in use leaves no room. All who wait for it are to be told."""

    model: ModelId
    reason: str


Command = Load | Evict | Refuse


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes in MB, by its voice pack.

    Attributes:
        own_mb: of what no other model uses.
        base: what it shares with all models that name the same. A model whose weights others adapt names itself.
        base_mb: what that takes.
    """

    own_mb: int
    base: ModelId | None = None
    base_mb: int = 0


def believed(measured_mb: int, estimated_mb: int) -> int:
    """As measured, but not less than half of the estimate; 0 MB or less: not measured.

    A model that is loaded into memory which another one has left behind does not make the process grow by its size.
    """
    return max(measured_mb, estimated_mb // 2) if measured_mb > 0 else estimated_mb


@dataclass(slots=True)
class Resident:
    """One model.

    Attributes:
        estimated_mb: by its voice pack; like all here, of what is its own.
        base: which weights it shares, besides; see `Need`.
        measured_mb: at loading, the most so far.
        holds: of those who use it or wait for it.
        in_background: somebody wants it loaded without holding it.
        stale: to be unloaded as soon as nobody uses it, and loaded anew if `renew`.
        failures: in a row.
    """

    estimated_mb: int
    base: ModelId | None = None
    measured_mb: int = 0
    place: Place = "absent"
    holds: set[int] = field(default_factory=set)
    in_background: bool = False
    loaded_at: Millis = Millis(0)
    last_used: Millis = Millis(0)
    stale: bool = False
    renew: bool = False
    failures: int = 0
    retry_at: Millis = Millis(0)
    fault: str = ""

    @property
    def memory_mb(self) -> int:
        """What it is taken to need for itself, without its base."""
        return believed(self.measured_mb, self.estimated_mb)

    @property
    def is_idle(self) -> bool:
        """In memory, and nobody uses it."""
        return self.place == "resident" and not self.holds

    def expires_at(self, limits: Limits) -> Millis:
        """When an idle model goes by itself."""
        return Millis(max(self.last_used + limits.ttl_ms, self.loaded_at + limits.min_residency_ms))


def at(models: Mapping[ModelId, Resident], *places: Place) -> list[ModelId]:
    """The models there."""
    return [model for model, resident in models.items() if resident.place in places]
