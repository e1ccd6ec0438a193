"""What kept a model from being loaded, in a word."""

from typing import Final

from protocol.errors import LoadFault, ModelUnavailable

_NO_MEMORY: Final = ("failed to allocate memory", "bad allocation", "bad_alloc", "out of memory")
"""How onnxruntime and torch say it; onnxruntime has no class of its own for it."""


def load_fault(error: BaseException) -> LoadFault:
    """Of whatever a library raises while it loads a model's files: what is neither of these makes it `corrupt`."""
    if isinstance(error, ModelUnavailable):
        return error.fault
    if isinstance(error, MemoryError) or any(words in str(error).casefold() for words in _NO_MEMORY):
        return "memory"
    if isinstance(error, (FileNotFoundError, ImportError)) or type(error).__name__ == "NoSuchFile":
        return "missing"
    return "corrupt"
