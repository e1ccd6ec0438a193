"""What an ASR worker keeps of a session's sound, and which request it serves next. Pure: `now` comes in."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from protocol.audio import MIC_RATE
from protocol.hearing import Transcribe
from protocol.ids import Millis, Samples, SessionId

RING: Final = Samples(30 * MIC_RATE)
"""What Whisper can take in at once."""
WAIT: Final = Millis(500)
"""How long a request waits for samples that are still on their way."""
UNHEARD: Final = Samples(MIC_RATE // 10)
"""So much may lack at the beginning of a range: less than the silence that a session asks for before speech."""
_PATIENCE: Final = Millis(1_000)
"""A partial that has waited this long ranks with the finals."""


class AudioRing:
    """The last seconds of a session's microphone, by sample position (s16le). What was lost on the way is silence."""

    def __init__(self, capacity: Samples = RING) -> None:
        self._capacity = capacity
        self._bytes = bytearray(2 * capacity)
        self._first = Samples(0)
        self._end = Samples(0)

    @property
    def first(self) -> Samples:
        """The oldest sample that is held."""
        return max(self._first, Samples(self._end - self._capacity))

    @property
    def end(self) -> Samples:
        """The first sample that has not come yet."""
        return self._end

    def write(self, position: Samples, pcm: bytes) -> None:
        """Put sound in its place. A late frame fills its gap; one older than the ring is ignored."""
        end = Samples(position + len(pcm) // 2)
        if self._end == self._first or position - self._end >= self._capacity:  # nothing held that could be joined
            self._first = self._end = position
        elif position > self._end:
            self._put(self._end, bytes(2 * (position - self._end)))
            self._end = position
        skipped = max(0, max(self.first, end - self._capacity) - position)
        self._put(Samples(position + skipped), pcm[2 * skipped :])
        self._end = max(self._end, end)

    def read(self, first: Samples, end: Samples) -> tuple[Samples, bytes]:
        """What is held of this range, and where it begins; nothing when none of it is."""
        first, end = max(first, self.first), min(end, self._end)
        if first >= end:
            return first, b""
        at, size = 2 * (first % self._capacity), 2 * (end - first)
        piece = self._bytes[at : at + size]
        return first, bytes(piece + self._bytes[: size - len(piece)])

    def _put(self, position: Samples, pcm: bytes) -> None:
        at = 2 * (position % self._capacity)
        head = pcm[: len(self._bytes) - at]
        self._bytes[at : at + len(head)] = head
        self._bytes[: len(pcm) - len(head)] = pcm[len(head) :]


@dataclass(frozen=True, slots=True)
class _Pending:
    request: Transcribe
    came: Millis
    waits_since: Millis
    """Since when the session waits for any answer: who asks again keeps their place."""


class TranscriptionQueue:
    """The newest request of each session, finals before partials, else first come, first served."""

    def __init__(self, *, wait: Millis = WAIT) -> None:
        self._wait = wait
        self._pending: dict[SessionId, _Pending] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._pending)

    def add(self, request: Transcribe, now: Millis) -> Transcribe | None:
        """Take a request in; returns the one that is overtaken by it, or itself when it is not the newest."""
        older = self._pending.get(request.session)
        if older is not None and request.request <= older.request.request:
            return request
        waits_since = older.waits_since if older is not None else now
        self._pending[request.session] = _Pending(request, now, waits_since)
        return older.request if older is not None else None

    def next(self, held: Callable[[SessionId], Samples], now: Millis) -> Transcribe | None:
        """The request to serve now, taken out; `held` says up to where a session's sound has come.

        A request whose sound is on its way is ready when it has come, or when it has waited long enough.
        """
        ready = [p for p in self._pending.values() if self._is_ready(p, held, now)]
        if not ready:
            return None
        chosen = min(ready, key=lambda p: (not _urgent(p, now), p.waits_since))
        del self._pending[chosen.request.session]
        return chosen.request

    def deadline(self) -> Millis | None:
        """When a request becomes ready at the latest; None when none waits."""
        return min((Millis(p.came + self._wait) for p in self._pending.values()), default=None)

    def forget(self, session: SessionId) -> Transcribe | None:
        """The session ends; returns what it still waited for."""
        pending = self._pending.pop(session, None)
        return pending.request if pending is not None else None

    def _is_ready(self, pending: _Pending, held: Callable[[SessionId], Samples], now: Millis) -> bool:
        return held(pending.request.session) >= pending.request.end or now - pending.came >= self._wait


def _urgent(pending: _Pending, now: Millis) -> bool:
    return pending.request.final or now - pending.waits_since >= _PATIENCE


def lacks_beginning(request: Transcribe, first: Samples) -> bool:
    """Whether words may be missing when only what follows `first` is held: then there is nothing to transcribe.

    A gap further on is silence, of which only a frame a second travels; what came before the first frame that is held
    is not known to be.
    """
    return first - request.first > UNHEARD


def served(request: Transcribe, first: Samples, pcm: bytes) -> Transcribe:
    """The request as it could be served: with the range that was there."""
    return replace(request, first=first, end=Samples(first + len(pcm) // 2))
