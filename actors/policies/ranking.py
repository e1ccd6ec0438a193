"""How workers that could serve compare. Pure."""

from typing import Final, NamedTuple

from protocol.workers import Announcement

OPEN: Final = 0
LIKELY_FULL: Final = 1
"""Its free places were given away since it last spoke: it may still be asked when nobody else is left."""
CLOSED: Final = 2
"""Not ready, or full by its own account."""

LATENCY_STEP_MS: Final = 50.0
"""First-audio latencies that differ by less count as equal: two medians are never the same to the microsecond, and
without steps the fastest worker would be filled to the brim for a difference that nobody hears."""
TRIAL_SESSIONS: Final = 2
"""As many sessions a worker gets as if it were the fastest before its latency is known; after that, it ranks as the
slowest until it has been measured."""
_SLOWEST: Final = 1_000_000


class Rank(NamedTuple):
    """The lower, the better; compared from the first to the last.

    Attributes:
        standing: `OPEN`, `LIKELY_FULL` or `CLOSED`.
        queue: pieces of text that wait, each session placed since the last announcement counted as one.
        latency: the p50 from text to first sound, in steps.
        load: the share of its places that is taken, those placed since included.
    """

    standing: int
    queue: int
    latency: int
    load: float

    @property
    def takes_sessions(self) -> bool:
        """As far as is known."""
        return self.standing != CLOSED


def rank_of(worker: Announcement, placed: int, *, doubted: bool = False) -> Rank:
    """As it announced itself, with the sessions that were placed there since; `doubted`: it has refused one since."""
    sessions = worker.sessions + placed
    load = sessions / worker.capacity if worker.capacity else 1.0
    return Rank(
        _standing(worker, sessions, doubted=doubted),
        worker.metrics.queue_depth + placed,
        _latency(worker, sessions),
        load,
    )


def _standing(worker: Announcement, sessions: int, *, doubted: bool) -> int:
    if worker.state != "ready" or worker.sessions >= worker.capacity:
        return CLOSED
    return LIKELY_FULL if doubted or sessions >= worker.capacity else OPEN


def _latency(worker: Announcement, sessions: int) -> int:
    measured_ms = worker.metrics.p50_first_audio_ms
    if measured_ms > 0:
        return int(measured_ms // LATENCY_STEP_MS)
    return 0 if sessions < TRIAL_SESSIONS else _SLOWEST
