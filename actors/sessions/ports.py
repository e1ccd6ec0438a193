"""What a session needs of its neighbours on the loop."""

from collections.abc import Callable
from typing import Protocol

from actors.policies.routing import Placement
from protocol.ids import ModelId, WorkerName
from protocol.routing import WhenCold
from protocol.workers import Announcement

Clock = Callable[[], float]
"""Monotonic seconds."""
Cancel = Callable[[], None]
CallLater = Callable[[float, Callable[[], None]], Cancel]
"""Call this in so many seconds, on the loop; what it returns takes that back."""
OnWorker = Callable[[WorkerName, Announcement | None], None]


class Router(Protocol):
    """Who can speak and who can hear (`actors.router`)."""

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = ...,
        avoid: frozenset[WorkerName] = ...,
        tentative: bool = ...,
    ) -> Placement:
        """A worker and its model; `tentative`: nobody is sent there, nothing is loaded. Raises `Refused`."""

    def choose_asr(self, *, language: str, avoid: frozenset[WorkerName] = ..., tentative: bool = ...) -> Announcement:
        """A worker; `tentative`: nobody is sent there. Raises `Refused`."""

    def may_return(self, *, voice: str | None, language: str) -> bool:
        """Whether a worker that could speak this has been silent for moments only."""

    def lives(self, name: WorkerName) -> bool:
        """Whether this worker sends a pulse, as far as is known by now; of one that promises none nobody knows."""

    def why_cold(self, model: ModelId) -> str:
        """Why a model that was to be loaded is not there; empty if nothing is known to be wrong with it."""

    def voices(self) -> tuple[str, ...]:
        """All that can be asked for, the default first."""

    def watch(self, call_back: OnWorker) -> Callable[[], None]:
        """Call this at each change (None: gone) and failed load, until the returned function is called."""


class Sound(Protocol):
    """What a recognizer is to hear of the session's microphone (`actors.feed.Feed`)."""

    def hold(self) -> None:
        """Send nothing for now, and keep it."""

    def resume(self) -> None:
        """Go on sending where that began."""

    async def replay(self) -> None:
        """Send again all that is kept, in order, then what comes; returns when that is done or `hold` gave it up."""
