"""Which allocator a process that loads and unloads models runs with."""

from collections.abc import Mapping
from typing import Final

GIVES_BACK: Final[Mapping[str, str]] = {"PYTHONMALLOC": "malloc"}
"""To be in the environment before the interpreter starts.

CPython's own allocator gives memory back by the megabyte, and a few small objects that outlive a model (in a library's
cache) keep a megabyte each: after twenty loads and unloads of hibari, whose dictionaries are half a million objects, a
third more stayed. The C library's allocator gives back each free page, and speaking takes no longer.
"""
