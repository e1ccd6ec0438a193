"""What a process keeps: asked before and after something that should leave nothing, many times over."""

import gc
from dataclasses import dataclass
from typing import Self

import psutil

MOST_MB = 8
"""A process may grow by this much by the way; 1 MB was seen in 800 starts. What one phrase holds is 4 MB or more."""
OBJECTS_PER_START = 0.1
"""A leak of one object in ten starts would be seen; 1 was seen in 800."""


@dataclass(frozen=True, slots=True)
class Remains:
    """Of this process, now.

    Attributes:
        objects: that Python's collector knows, after it has done its work.
    """

    threads: int
    objects: int
    memory_mb: float

    @classmethod
    def now(cls) -> Self:
        """After a collection."""
        gc.collect()
        process = psutil.Process()
        return cls(process.num_threads(), len(gc.get_objects()), process.memory_info().rss / 1e6)

    def assert_no_more_than(self, before: Self, *, starts: int) -> None:
        """Nothing has stayed of so many starts; threads are compared by whoever knows which may come and go."""
        assert self.objects - before.objects <= max(OBJECTS_PER_START * starts, 20)
        assert self.memory_mb - before.memory_mb < MOST_MB
