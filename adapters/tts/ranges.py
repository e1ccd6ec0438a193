"""Names for what a model does, as a profiler shows them (docs/profiling.md)."""

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Final


def phase(name: str) -> AbstractContextManager[object]:
    """What runs within is called `name` (`xtts.gpt`): in torch's profiler while that records, else in Nsight on a GPU.

    Elsewhere it does nothing, for less than a microsecond.
    """
    torch = sys.modules.get("torch")  # who has not loaded it does not use CUDA
    if torch is None:
        return _NOTHING
    if torch.autograd.profiler._is_profiler_enabled:  # noqa: SLF001  # of the ways to ask, the one that costs nothing
        named: AbstractContextManager[object] = torch.profiler.record_function(name)
        return named
    return _Nvtx(torch.cuda.nvtx, name) if torch.cuda.is_initialized() else _NOTHING


class _Nvtx:
    """A push and a pop, which cost next to nothing where no tool listens."""

    __slots__ = ("_name", "_nvtx")

    def __init__(self, nvtx: Any, name: str) -> None:
        self._nvtx = nvtx
        self._name = name

    def __enter__(self) -> None:
        self._nvtx.range_push(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._nvtx.range_pop()


_NOTHING: Final = nullcontext()
