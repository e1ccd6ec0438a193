"""How much memory this process holds, and how to give back what its allocator keeps."""

import ctypes
import sys
from typing import Any, Final

import psutil

from protocol.ports import MemoryUse

_MB: Final = 2**20
_M_ARENA_MAX: Final = -8
"""Of glibc's malloc.h."""


class ProcessMemory:
    """Resident memory as the system counts it; on a GPU what PyTorch has allocated there, if PyTorch is in use.

    What other libraries take on a GPU (onnxruntime, CTranslate2) is not seen.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._trim = getattr(_c_library(), "malloc_trim", None)

    def used(self) -> MemoryUse:
        """Now."""
        process_mb = self._process.memory_info().rss / _MB
        cuda = _cuda()
        return MemoryUse(process_mb=process_mb, device_mb=cuda.memory_allocated() / _MB if cuda is not None else 0.0)

    def tidy(self) -> None:
        """Return free pages to the system, where its C library can (glibc)."""
        if self._trim is not None:
            self._trim(0)

    def give_back(self) -> None:
        """The same, and PyTorch's unused blocks on a GPU."""
        self.tidy()
        cuda = _cuda()
        if cuda is not None:
            cuda.empty_cache()


def keep_one_heap() -> None:
    """Let all threads allocate from one heap: glibc never gives the end of another thread's heap back.

    To be called before other threads begin. A model that is loaded, used and unloaded by a thread of its own leaves
    some 15 MB in that thread's heap otherwise. Speaking takes no longer with one heap.
    """
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def _c_library() -> Any:
    """The one that this process runs on; None where it cannot be asked (Windows)."""
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


def _cuda() -> Any:
    """PyTorch's, if it was imported by a model and has used a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return torch.cuda
