"""Names for what a GPU does, as a profiler shows them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def phase(name: str) -> Iterator[None]:
    """What runs within is called `name` (`xtts.gpt`) in Nsight, where CUDA is in use; nothing happens elsewhere."""
    torch = sys.modules.get("torch")  # who has not loaded it does not use CUDA
    if torch is None or not torch.cuda.is_initialized():
        yield
        return
    torch.cuda.nvtx.range_push(name)
    try:
        yield
    finally:
        torch.cuda.nvtx.range_pop()
