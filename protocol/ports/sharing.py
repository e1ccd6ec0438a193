"""What the voices of one process share."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class SharesBase(Protocol):
    """A loaded TTS model that computes with networks which others of its process use, too, one after the other."""

    @property
    def brought_base(self) -> bool:
        """Whether loading it has loaded them, too; else another one had done so."""

    @property
    def waiting(self) -> int:
        """How many wait for their turn at them now; 0 once it is closed. On any thread, at any time."""
