"""Voice activity without a model: one that hears loudness, and a facade whose events a test decides."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from protocol.hearing import VadEvent
from protocol.ids import Samples, SessionId
from protocol.ports import Pcm, VoiceActivityStream

_LOUD = 0.02
POISON = 0.99
"""A window that begins at this amplitude makes its stream fail."""


class LoudnessStream:
    """Remembers how many windows it heard, as a real stream remembers sound."""

    def __init__(self) -> None:
        self.heard = 0

    def probability(self, window: Pcm) -> float:
        if abs(float(window[0])) >= POISON:
            raise RuntimeError("a window is poisoned")
        self.heard += 1
        return 0.9 if float(np.abs(window).mean()) > _LOUD else 0.1


class LoudnessModel:
    """Speech is what is loud. `batches` holds the size of each inference; `before` is called first in each."""

    def __init__(self, *, before: Callable[[], object] = lambda: None, refuses: bool = False) -> None:
        self.batches: list[int] = []
        self._before = before
        self._refuses = refuses

    def open_stream(self) -> LoudnessStream:
        if self._refuses:
            raise RuntimeError("no more streams")
        return LoudnessStream()

    def probabilities(self, streams: Sequence[VoiceActivityStream], windows: Sequence[Pcm]) -> list[float]:
        self._before()
        self.batches.append(len(streams))
        if any(abs(float(window[0])) >= POISON for window in windows):
            raise RuntimeError("a window is poisoned")
        return [stream.probability(window) for stream, window in zip(streams, windows, strict=True)]


class FakeDetector:
    """Has the methods of `actors.vad.Detector`; a test says what it detects.

    Attributes:
        opened: the options of each open session.
        heard: what came, by session: position and sound.
    """

    def __init__(self) -> None:
        self.opened: dict[SessionId, dict[str, Any]] = {}
        self.heard: dict[SessionId, list[tuple[Samples, bytes]]] = {}
        self.stopped = False

    def open(self, session: SessionId, **options: Any) -> None:
        self.opened[session] = options
        self.heard[session] = []

    def hear(self, session: SessionId, position: Samples, pcm: bytes) -> None:
        if session in self.opened:
            self.heard[session].append((position, pcm))

    def dropped(self, session: SessionId) -> int:  # noqa: ARG002  # the real one counts by session
        return 0

    def close(self, session: SessionId) -> None:
        self.opened.pop(session, None)

    def stop(self) -> None:
        self.opened.clear()
        self.stopped = True

    def detect(self, event: VadEvent) -> None:
        """Let this be heard."""
        if event.session in self.opened:
            self.opened[event.session]["on_event"](event)

    def fail(self, session: SessionId, reason: str) -> None:
        """Let the session's stream end."""
        options = self.opened.pop(session)
        options["on_failed"](reason)
