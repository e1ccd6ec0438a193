"""Our own turns: the reply that has the floor, the prepared one, and the texts that wait to be said."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from protocol.conversation import Say
from protocol.ids import Millis, Samples, TurnId

MAX_WAITING_TEXTS: Final = 32
MAX_WAITING_CHARACTERS: Final = 16_000

Origin = Literal["reply", "say", "apology"]


@dataclass(slots=True, kw_only=True)
class OwnTurn:
    """The reply that is thought about, sounds, or is held.

    Attributes:
        open: more text may follow.
        handed: some text went to the voice.
        sounding: its first frame has left.
        moved_at: when it last came forward.
        lost_at: when its voice was lost; None while that is well.
        away_since: when the client stopped taking its sound; None while it does.
    """

    turn: TurnId
    origin: Origin
    moved_at: Millis
    open: bool = True
    handed: bool = False
    sounding: bool = False
    played: Samples = Samples(0)
    nudged_at: Millis = Millis(0)
    lost_at: Millis | None = None
    away_since: Millis | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A reply that nobody has heard of, and the user's words that it answers."""

    reply: OwnTurn
    text: str


@dataclass(slots=True)
class Saying:
    """A text that waits for the floor, in the pieces in which it came."""

    pieces: list[str]
    open: bool


@dataclass(slots=True)
class Sayings:
    """The texts that wait to be said, bounded."""

    waiting: deque[Saying] = field(default_factory=deque)
    cut_at: Millis | None = None
    """When a text of which more was to come was cut short: the rest of it is refused."""

    def has_room(self, say: Say) -> bool:
        """Whether this one may wait too."""
        characters = sum(len(piece) for saying in self.waiting for piece in saying.pieces)
        return len(self.waiting) < MAX_WAITING_TEXTS and characters + len(say.text) <= MAX_WAITING_CHARACTERS

    def add(self, say: Say) -> None:
        """Let it wait."""
        if self.waiting and self.waiting[-1].open:
            self.waiting[-1].pieces.append(say.text)
            self.waiting[-1].open = not say.last
        else:
            self.waiting.append(Saying([say.text], open=not say.last))

    def drop(self, now: Millis) -> int:
        """Let none of them wait any longer; how many there were."""
        count = len(self.waiting)
        if self.waiting and self.waiting[-1].open:
            self.cut_at = now
        self.waiting.clear()
        return count
