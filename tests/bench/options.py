"""What a bench is told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.checkpoints.sizes import Size

if TYPE_CHECKING:
    from tests.e2e.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOptions:
    """Of the bench `gpu` alone.

    Attributes:
        families: those to measure, empty for all that are installed.
        size: of the checkpoints that it builds.
        device: `cuda:0`, or `cpu` to try the bench itself.
        dtypes: number formats, empty for all on a GPU and float32 elsewhere.
        compiled: whether to measure compiled networks, too; None: on a GPU.
    """

    families: tuple[str, ...] = ()
    size: Size = "real"
    device: str = "cuda:0"
    dtypes: tuple[str, ...] = ()
    compiled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Common to all benches; each says in its module what it makes of them.

    Attributes:
        runs: repetitions for each session, None for the bench's own number.
        sessions: conversations side by side, empty for the bench's own numbers.
        voices: models to compare, empty for all that are there.
        seconds: how long a bench of duration watches, or a phrase takes (gpu), None for its own.
    """

    runs: int | None = None
    sessions: tuple[int, ...] = ()
    voices: tuple[str, ...] = ()
    seconds: float | None = None
    gpu: GpuOptions = GpuOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The system under measurement; `system` is None when somebody else started it."""

    url: str
    nats_url: str
    system: "System | None" = None
