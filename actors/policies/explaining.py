"""Why each worker was chosen or not, in words and figures. Pure."""

from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

from actors.policies.placing import Decision
from actors.policies.ranking import CLOSED, LATENCY_STEP_MS, OPEN, Rank
from actors.policies.roster import Entry, Roster, is_warm
from actors.policies.routing import Misfit, Requirements, misfit
from protocol.ids import WorkerName
from protocol.routing import Candidate
from protocol.workers import Announcement

MOST: Final = 100
_LONGEST_REASON: Final = 200
"""An answer of more candidates, or wordier ones, would be larger than a message may be."""


class Explanation(NamedTuple):
    """`left_off`: how many workers more there are."""

    candidates: tuple[Candidate, ...]
    left_off: int


def explain(roster: Roster, wanted: Requirements, decision: Decision | None, *, most: int = MOST) -> Explanation:
    """The workers of the kind: the chosen one, then those that could have served, the best first, then the others.

    Args:
        roster: as it was when the decision was made.
        wanted: what was asked for.
        decision: None if it was refused.
        most: how many are put into words. The others cost next to nothing: this runs beside live sessions.
    """
    chosen: Entry | None = None
    if decision is not None:
        placement = decision.placement
        chosen = roster.entry(placement.worker.name)
        if wanted.kind == "tts":
            wanted = replace(wanted, model=placement.instead_of or placement.model)
    won = _Won(decision, chosen) if decision is not None and chosen is not None else None
    judge = _Judge(wanted, roster, won)
    named = _best_first(roster, wanted, chosen, most)
    return Explanation(tuple(judge.candidate(entry) for entry in named), roster.count(wanted.kind) - len(named))


def _best_first(roster: Roster, wanted: Requirements, chosen: Entry | None, most: int) -> list[Entry]:
    able = roster.able(wanted)
    fitting = [
        ((entry.rank.standing == CLOSED or entry.worker.name in wanted.avoid, is_cold, entry.rank, index), entry)
        for is_cold, group in ((False, able.warm), (True, able.cold))
        for index, entry in enumerate(group)
        if entry is not chosen
    ]
    fitting.sort(key=itemgetter(0))
    named = [] if chosen is None else [chosen]
    named += [entry for _, entry in fitting[: most - len(named)]]
    if len(named) < most:
        known = {entry.worker.name for entry in named}
        others = (entry for entry in roster.of_kind(wanted.kind) if entry.worker.name not in known)
        named += islice(others, most - len(named))
    return named


class _Won(NamedTuple):
    """Who was chosen, and how that one ranked."""

    decision: Decision
    entry: Entry

    @property
    def name(self) -> WorkerName:
        return self.entry.worker.name


class _Judge:
    """Of all workers, for one decision."""

    def __init__(self, wanted: Requirements, roster: Roster, won: _Won | None) -> None:
        self._wanted = wanted
        self._roster = roster
        self._won = won

    def candidate(self, entry: Entry) -> Candidate:
        """One worker, with its verdict."""
        worker = entry.worker
        unfit = misfit(worker, self._wanted)
        fault = self._fault(entry, unfit)
        return Candidate(
            worker=worker.name,
            verdict=fault.verdict,
            reason=_cut(fault.reason),
            resident=unfit is None and is_warm(worker, self._wanted),
            queue_depth=worker.metrics.queue_depth,
            sessions=worker.sessions,
            capacity=worker.capacity,
            p50_first_audio_ms=worker.metrics.p50_first_audio_ms,
        )

    def _fault(self, entry: Entry, unfit: Misfit | None) -> Misfit:
        worker = entry.worker
        if self._won is not None and entry is self._won.entry:
            return Misfit("chosen", self._merit(self._won))
        out = _unready(worker) or unfit or _unavailable(worker, self._wanted)
        return out or self._not_in_memory(worker) or self._doubted(worker) or self._lost(entry)

    def _merit(self, won: _Won) -> str:
        placement = won.decision.placement
        if placement.instead_of is not None:
            speaks = f"speaks {placement.model} until {placement.instead_of} is loaded"
            return speaks + self._asked(won.name)
        if not placement.model:
            return "is ready"
        return f"has {placement.model} in memory" if placement.resident else f"has to load {placement.model} first"

    def _asked(self, worker: WorkerName) -> str:
        return "; it is asked to load it" if self._won is not None and self._won.decision.load == worker else ""

    def _not_in_memory(self, worker: Announcement) -> Misfit | None:
        """If it lost by that, or the request as a whole did."""
        if is_warm(worker, self._wanted):
            return None
        missing = f"{self._wanted.model or 'its model'} is not in its memory"
        if self._won is None:
            return Misfit("not-resident", missing)
        if self._won.decision.placement.instead_of is not None:
            return Misfit("not-resident", missing + self._asked(worker.name))
        if is_warm(self._won.entry.worker, self._wanted):
            return Misfit("not-resident", f"{missing}; it is at {self._won.name}")
        return None

    def _doubted(self, worker: Announcement) -> Misfit | None:
        doubted = self._roster.is_doubted(worker.name)
        return Misfit("avoided", "has just refused or failed a session") if doubted else None

    def _lost(self, entry: Entry) -> Misfit:
        """By its load or its speed."""
        worker, rank = entry.worker, entry.rank
        placed = self._roster.placed_at(worker.name)
        if self._won is None or rank.standing != OPEN:
            return Misfit("full", f"{worker.sessions} of {worker.capacity} sessions, and {placed} just sent there")
        winner, best = self._won.name, self._won.entry.rank
        if rank.queue != best.queue:
            just = f", {placed} of them sessions just sent there" if placed else ""
            return Misfit("longer-queue", f"{rank.queue} waiting{just}; {best.queue} at {winner}")
        if rank.latency != best.latency:
            at_winner = _first_audio(self._won.entry.worker)
            return Misfit("slower", f"{_first_audio(worker)}; {at_winner} at {winner}")
        if rank.load != best.load:
            return Misfit("busier", _taken(rank, best, winner))
        return Misfit("equal", f"as good as {winner} (first sound within {LATENCY_STEP_MS:g} ms): they take turns")


def _unready(worker: Announcement) -> Misfit | None:
    if worker.state == "starting":
        return Misfit("starting", "is not ready yet")
    return Misfit("draining", "takes no new sessions and is about to end") if worker.state == "draining" else None


def _unavailable(worker: Announcement, wanted: Requirements) -> Misfit | None:
    if worker.state != "ready":
        return _unready(worker)
    if worker.name in wanted.avoid:
        return Misfit("avoided", "was to be avoided: it has refused, or failed")
    if worker.sessions >= worker.capacity:
        return Misfit("full", f"{worker.sessions} of {worker.capacity} sessions")
    return None


def _taken(rank: Rank, best: Rank, winner: WorkerName) -> str:
    return f"{rank.load:.0%} of its places taken; {best.load:.0%} at {winner}"


def _first_audio(worker: Announcement) -> str:
    measured_ms = worker.metrics.p50_first_audio_ms
    return f"first sound after {measured_ms:.0f} ms" if measured_ms > 0 else "first sound not measured yet"


def _cut(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
