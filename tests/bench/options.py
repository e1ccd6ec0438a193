"""What a bench is told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Common to all benches; each says in its module what it makes of them.

    Attributes:
        runs: repetitions for each session, None for the bench's own number.
        sessions: conversations side by side, empty for the bench's own numbers.
        voices: models to compare, empty for all that are there.
        seconds: how long a bench of duration watches, None for its own.
    """

    runs: int | None = None
    sessions: tuple[int, ...] = ()
    voices: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The system under measurement; `system` is None when somebody else started it."""

    url: str
    nats_url: str
    system: "System | None" = None
