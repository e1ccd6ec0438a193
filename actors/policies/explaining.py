"""Why each worker was chosen or not, in words and figures. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from actors.policies.placing import Decision
from actors.policies.ranking import LATENCY_STEP_MS, OPEN, Rank
from actors.policies.roster import Entry, Roster, is_warm
from actors.policies.routing import Misfit, Requirements, misfit
from protocol.ids import WorkerName
from protocol.routing import Candidate
from protocol.workers import Announcement

MOST: Final = 100
_LONGEST_REASON: Final = 200
"""An answer of more candidates, or wordier ones, would be larger than a message may be."""


class _Judged(NamedTuple):
    """`key` orders those that could serve as the choice does, behind the one that was chosen, before all others."""

    key: tuple[int, bool, Rank]
    worker: Announcement
    fault: Misfit
    resident: bool


def explain(roster: Roster, wanted: Requirements, decision: Decision | None) -> tuple[Candidate, ...]:
    """Every worker of the kind: the chosen one, then those that could have served, the best first, then the others.

    Args:
        roster: as it was when the decision was made.
        wanted: what was asked for.
        decision: None if it was refused.
    """
    if decision is not None and wanted.kind == "tts":
        placement = decision.placement
        wanted = replace(wanted, model=placement.instead_of or placement.model)
    entries = tuple(roster.of_kind(wanted.kind))
    if decision is None:
        judged = [_Judge(wanted, roster, None).of(entry) for entry in entries]
    else:
        best = next(entry for entry in entries if entry.worker.name == decision.placement.worker.name)
        judge = _Judge(wanted, roster, _Won(decision, best))
        judged = [judge.of(entry) for entry in entries]
    judged.sort(key=lambda it: (*it.key, it.worker.name))
    return tuple(_candidate(it) for it in judged)


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

    def of(self, entry: Entry) -> _Judged:
        """One worker's verdict."""
        worker = entry.worker
        unfit = misfit(worker, self._wanted)
        resident = unfit is None and is_warm(worker, self._wanted)
        if self._won is not None and entry is self._won.entry:
            return _Judged((0, False, entry.rank), worker, Misfit("chosen", self._merit(self._won)), resident)
        fault = _unready(worker) or unfit or _unavailable(worker, self._wanted)
        if fault is not None:
            return _Judged((2, not resident, entry.rank), worker, fault, resident)
        lost = self._not_in_memory(worker) or self._doubted(worker) or self._lost(entry)
        return _Judged((1, not resident, entry.rank), worker, lost, resident)

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
        if rank.crowd != best.crowd:
            return Misfit("busier", _taken(rank, best, winner))
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


def _candidate(judged: _Judged) -> Candidate:
    worker = judged.worker
    return Candidate(
        worker=worker.name,
        verdict=judged.fault.verdict,
        reason=_cut(judged.fault.reason),
        resident=judged.resident,
        queue_depth=worker.metrics.queue_depth,
        sessions=worker.sessions,
        capacity=worker.capacity,
        p50_first_audio_ms=worker.metrics.p50_first_audio_ms,
    )


def _cut(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"


def shortened(candidates: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], int]:
    """As many as an answer holds, and how many were left off."""
    return tuple(candidates[:MOST]), max(0, len(candidates) - MOST)
