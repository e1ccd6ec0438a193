"""What a session needs of its neighbours on the loop."""

from collections.abc import Callable
from typing import Protocol

from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement

Clock = Callable[[], float]
"""Monotonic seconds."""
Cancel = Callable[[], None]
CallLater = Callable[[float, Callable[[], None]], Cancel]
"""Call this in so many seconds, on the loop; what it returns takes that back."""
OnWorker = Callable[[WorkerName, Announcement | None], None]


class Router(Protocol):
    """Who can speak and who can hear (`actors.router`)."""

    def choose_tts(self, *, voice: str | None, language: str) -> tuple[Announcement, ModelId]:
        """A worker and its model. Raises `Refused`."""

    def choose_asr(self, *, language: str) -> Announcement:
        """A worker. Raises `Refused`."""

    def voices(self) -> tuple[str, ...]:
        """All that can be asked for, the default first."""

    def watch(self, call_back: OnWorker) -> Callable[[], None]:
        """Call this at each change (None: gone), until the returned function is called."""
