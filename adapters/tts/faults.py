"""What kept a model from being loaded, in a word, and what kept it from speaking."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from protocol.errors import LoadFault, ModelUnavailable, SynthesisFailed

_NO_MEMORY: Final = (
    "failed to allocate memory", "bad allocation", "bad_alloc", "out of memory", "cannot allocate memory",
    "failed to map segment",
)  # fmt: skip
"""How onnxruntime, torch, the system and, of a library that it has no room for, its loader say it."""
LONGEST_REASON: Final = 500


def load_fault(error: BaseException) -> LoadFault:
    """Of whatever a library raises while it loads a model's files: what is neither of these makes it `corrupt`."""
    if isinstance(error, ModelUnavailable):
        return error.fault
    if isinstance(error, MemoryError) or any(words in str(error).casefold() for words in _NO_MEMORY):
        return "memory"
    if isinstance(error, (FileNotFoundError, ImportError)) or type(error).__name__ == "NoSuchFile":
        return "missing"
    return "corrupt"


@contextmanager
def spoken_by(name: str) -> Iterator[None]:
    """Whatever a library raises within is a `SynthesisFailed` that names it."""
    try:
        yield
    except SynthesisFailed:
        raise
    except Exception as error:
        raise SynthesisFailed(f"{name}: {type(error).__name__}: {error}"[:LONGEST_REASON]) from error
