"""What a TtsActor is told, and what it tells."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.tts_rendition import Made
from protocol.ids import Samples, SessionId, TurnId
from protocol.ports import Reference, SharesBase, SpeechShaper, Synthesizer
from protocol.speaking import ReferenceId

Key = tuple[SessionId, TurnId]
LoadSynthesizer = Callable[[], Synthesizer]
OpenShaper = Callable[[], SpeechShaper]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """A model that takes work.

    Attributes:
        sample_rate: in Hz.
        seconds: that loading and warming up took.
        memory_mb: by which the process has grown, on the GPU if it grew there; 0 if nobody measured.
        open_shaper: for each of its turns.
        shares: the model, if it shares a base.
    """

    sample_rate: int
    seconds: float
    memory_mb: float
    open_shaper: OpenShaper
    shares: SharesBase | None = None

    @property
    def with_base(self) -> bool:
        """Whether loading it has loaded all that it needs."""
        return self.shares is None or self.shares.brought_base


class Listener(Protocol):
    """Whom a TtsActor tells. Called on the loop, in order."""

    def on_loaded(self, warm: Warm) -> None:
        """The model is warm and takes work."""

    def on_load_failed(self, error: Exception) -> None:
        """There is no model; `error` says why."""

    def on_made(self, key: Key, made: Made, compute_s: float) -> None:
        """The next piece of a turn."""

    def on_failed(self, key: Key, reason: str) -> None:
        """The turn cannot be spoken on; the actor has forgotten it."""

    def on_imitated(self, name: ReferenceId, fault: str) -> None:
        """A recording is learned, or cannot be, for this reason."""

    def on_ended(self) -> None:
        """The actor has ended, however it did, and has given the memory back."""

    def on_died(self, reason: str) -> None:
        """The actor has ended by an error, with all of its turns."""


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of a turn's text; the first one opens the turn."""

    key: Key
    index: int
    text: str
    language: str
    speed: float
    last: bool
    imitates: ReferenceId | None = None


@dataclass(frozen=True, slots=True)
class Imitate:
    """Learn the voice of this recording."""

    name: ReferenceId
    reference: Reference


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody wants the recording's voice any more."""

    name: ReferenceId


@dataclass(frozen=True, slots=True)
class Allow:
    """Make no more of the turn than up to this sample."""

    key: Key
    until: Samples


@dataclass(frozen=True, slots=True)
class Hold:
    """Make nothing more of the turn for now."""

    key: Key


@dataclass(frozen=True, slots=True)
class Release:
    """Go on."""

    key: Key


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget the turn; `heard` says whether it was, to its end: then the model may know what it has said."""

    key: Key
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """The session speaks with this model no more, or not for now: forget what was said in it."""

    session: SessionId


TtsMessage = Say | Allow | Hold | Release | Drop | Leave | Imitate | Forget
