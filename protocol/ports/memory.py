"""What models take."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """In MB: the process's resident memory, and what it takes on a GPU."""

    process_mb: float
    device_mb: float = 0.0


class MemoryMeter(Protocol):
    """How much memory this process holds. On any thread."""

    def used(self) -> MemoryUse:
        """Now."""

    def tidy(self) -> None:
        """Return free pages of the process's heap to the system: a millisecond, while others speak."""

    def give_back(self) -> None:
        """Return to the system what was freed and is kept for later; may take some tens of milliseconds."""
