"""One CSM in memory for all voices of a process that need it: the base's own, and those that are adapters of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from adapters.tts.csm_files import LoadedCsm
from adapters.tts.csm_lora import Adapters
from adapters.tts.ranges import phase
from adapters.tts.turnstile import Turnstile

Key = tuple[str, ...]
"""What makes two bases one: the same files, on the same device, in the same precision."""


class CsmBase:
    """Its users hold it; when the last one has given it back, its memory goes."""

    def __init__(self, key: Key, loaded: LoadedCsm) -> None:
        self._key = key
        self._users = 0
        self._turnstile = Turnstile()
        self._adapters = Adapters(loaded.networks.model)
        self._numbers = count(1)
        self.loaded = loaded

    @property
    def users(self) -> int:
        """How many voices speak with it."""
        return self._users

    @property
    def waiting(self) -> int:
        """How many voices wait for their next frame, in a queue, while another one computes. On any thread."""
        return self._turnstile.waiting

    @contextmanager
    def speaking(self, adapter: str | None) -> Iterator[LoadedCsm]:
        """For one frame: nobody else computes, and the weights are those of this adapter (None: the base's)."""
        with self._turnstile:
            with phase("csm.switch"):
                self._adapters.use(adapter)
            yield self.loaded

    def add(self, model: str, folder: Path) -> str:
        """Load an adapter beside the others, between two frames; returns what it is called here.

        Raises:
            ModelUnavailable: it cannot be.
        """
        name = f"{model}-{next(self._numbers)}"  # one that is loaded anew may overlap with itself
        with self._turnstile:
            self._adapters.load(name, folder)
        return name

    def give_back(self, adapter: str | None = None) -> None:
        """One user less, and its adapter."""
        if adapter is not None:
            with self._turnstile:
                self._adapters.drop(adapter)
        with _guard:
            self._users -= 1
            if not self._users and _resident.get(self._key) is self:
                del _resident[self._key]


def take_base(key: Key, load: Callable[[], LoadedCsm]) -> tuple[CsmBase, bool]:
    """The one that is resident, or else a new one, and whether it is new; `give_back` ends what this begins."""
    with _guard:
        base = _resident.get(key)
        is_new = base is None
        if base is None:
            base = _resident[key] = CsmBase(key, load())
        base._users += 1  # noqa: SLF001  # the other half of `give_back`
        return base, is_new


def resident_bases() -> int:
    """How many there are."""
    return len(_resident)


_guard: Final = threading.Lock()
"""Held while a base is loaded: whoever wants the same one then finds it."""
_resident: Final[dict[Key, CsmBase]] = {}
