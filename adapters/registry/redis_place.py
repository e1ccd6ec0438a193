"""Where workers stand in Redis: the keys and the channel of one kind of workers."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from protocol.workers import WorkerKind

TTS_PREFIX: Final = "tts:workers"
ASR_PREFIX: Final = "asr:workers"
MAX_NAME: Final = 200
"""Characters; what is longer is nobody's name."""


class Key(NamedTuple):
    """An entry: the kind that its place stands for, and the worker's name as it is written there."""

    kind: WorkerKind
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """`tts:workers` is the set of names, `tts:workers:NAME` a document, `tts:workers:events` the channel."""

    kind: WorkerKind
    prefix: str

    @property
    def names(self) -> str:
        """The set of all names."""
        return self.prefix

    @property
    def events(self) -> str:
        """The channel on which each change is told."""
        return f"{self.prefix}:events"

    def document(self, name: str) -> str:
        """The key that holds what `name` says of itself, as long as it lives."""
        return f"{self.prefix}:{name}"
