"""Who works here, kept so that a choice among hundreds takes microseconds. Pure: `now` and `tie` come in."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from actors.policies.outstanding import Outstanding
from actors.policies.ranking import OPEN, Rank, rank_of
from actors.policies.refusing import refusal
from actors.policies.routing import Requirements, default_model, misfit
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.routing import Need
from protocol.workers import Announcement, WorkerKind

_REMEMBERED: Final = 256
"""Sets of requirements whose candidates are kept at hand; clients choose languages and models, so it is bounded."""


class Entry:
    """A worker, and how it ranks now."""

    __slots__ = ("rank", "worker")

    def __init__(self, worker: Announcement, rank: Rank) -> None:
        self.worker = worker
        self.rank = rank


class Able:
    """Those who could serve a request, whatever their load; each list in the order of the names."""

    __slots__ = ("cold", "wanted", "warm")

    def __init__(self, wanted: Requirements) -> None:
        self.wanted = wanted
        self.warm: list[Entry] = []
        self.cold: list[Entry] = []

    def admit(self, entry: Entry) -> None:
        """If it can serve."""
        if entry.worker.kind == self.wanted.kind and misfit(entry.worker, self.wanted) is None:
            insort(self.warm if is_warm(entry.worker, self.wanted) else self.cold, entry, key=_name)

    def dismiss(self, entry: Entry) -> None:
        """If it is among them."""
        for group in (self.warm, self.cold):
            place = bisect_left(group, entry.worker.name, key=_name)
            if place < len(group) and group[place] is entry:
                del group[place]
                return


_Signature = tuple[WorkerKind, str, ModelId | None, tuple[Need, ...], int | None]


class Roster:
    """The workers by name, those who can serve a kind of request at hand, and what was placed since they last spoke.

    What changes with every announcement (load, state) is in an entry's rank, what hardly ever changes (models,
    languages, capabilities) decides who is a candidate and is worked out once for each set of requirements.
    """

    def __init__(self, workers: Iterable[Announcement] = ()) -> None:
        self._entries: dict[WorkerName, Entry] = {}
        self._able: dict[_Signature, Able] = {}
        self._outstanding = Outstanding()
        self._doubts = Outstanding()
        for worker in workers:
            self.put(worker)

    def __contains__(self, name: WorkerName) -> bool:
        return name in self._entries

    def entry(self, name: WorkerName) -> Entry | None:
        """None if it is not known."""
        return self._entries.get(name)

    def put(self, worker: Announcement) -> None:
        """It has announced itself."""
        self._settle(worker.name)
        rank = rank_of(worker, 0)
        entry = self._entries.get(worker.name)
        if entry is None:
            entry = self._entries[worker.name] = Entry(worker, rank)
        elif _is_as_able(entry.worker, worker):
            entry.worker, entry.rank = worker, rank
            return
        self._dismiss(entry)
        entry.worker, entry.rank = worker, rank
        for able in self._able.values():
            able.admit(entry)

    def remove(self, name: WorkerName) -> None:
        """It is gone."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._settle(name)
            self._dismiss(entry)

    def placed(self, name: WorkerName, now: float) -> None:
        """A session was sent there: count it until the worker does."""
        if name in self._entries:
            self._outstanding.add(name, now)
            self._rerank(name)

    def doubt(self, name: WorkerName, now: float) -> None:
        """It has refused a session, or failed one: try others first until it speaks again."""
        if name in self._entries and not self._doubts.of(name):
            self._doubts.add(name, now)
            self._rerank(name)

    def expire(self, now: float) -> None:
        """Stop counting sessions, and doubts, of which no worker has said anything."""
        for guesses in (self._outstanding, self._doubts):
            for name in guesses.expired(now):
                self._rerank(name)

    def placed_at(self, name: WorkerName) -> int:
        """Sessions that were sent there since it last spoke."""
        return self._outstanding.of(name)

    def is_doubted(self, name: WorkerName) -> bool:
        """Whether it has refused or failed one since it last spoke."""
        return self._doubts.of(name) > 0

    # --- choosing ---------------------------------------------------------------------------------------------------
    def choose(self, wanted: Requirements, *, tie: int = 0) -> Announcement:
        """The worker that answers soonest; `tie` decides between those that are equally good.

        Raises:
            Refused: `no-worker`, `no-such-model`, `no-such-language`, `no-such-capability`, `no-such-sample-rate`,
                `no-other-worker`, `no-capacity`: how far the best of them came.
        """
        able = self.able(wanted)
        best = _best(able.warm, wanted.avoid, tie)
        if best is None or best.rank.standing != OPEN:
            other = _best(able.cold, wanted.avoid, tie)
            if best is None or (other is not None and other.rank.standing == OPEN):
                best = other
        if best is None:
            raise self._refusal(wanted)
        return best.worker

    def choose_resident(
        self, wanted: Requirements, *, tie: int = 0, even_if_likely_full: bool = False
    ) -> Announcement | None:
        """The same among those who have the model in memory and, as far as is known, a free place; None if nobody."""
        best = _best(self.able(wanted).warm, wanted.avoid, tie)
        if best is None or (best.rank.standing != OPEN and not even_if_likely_full):
            return None
        return best.worker

    def able(self, wanted: Requirements) -> Able:
        """Those who could serve this if they were free. Worked out once, and kept up to date from then on."""
        signature = (wanted.kind, wanted.language, wanted.model, wanted.needs, wanted.sample_rate)
        able = self._able.get(signature)
        if able is None:
            if len(self._able) >= _REMEMBERED:
                self._able.clear()
            able = self._able[signature] = Able(replace(wanted, avoid=frozenset()))
            for entry in self._entries.values():
                able.admit(entry)
        return able

    def count(self, kind: WorkerKind) -> int:
        """How many there are of a kind."""
        return sum(entry.worker.kind == kind for entry in self._entries.values())

    def of_kind(self, kind: WorkerKind) -> Iterator[Entry]:
        """All of them, in the order of their names."""
        return (self._entries[name] for name in sorted(self._entries) if self._entries[name].worker.kind == kind)

    def _dismiss(self, entry: Entry) -> None:
        for able in self._able.values():
            able.dismiss(entry)

    def _rerank(self, name: WorkerName) -> None:
        entry = self._entries.get(name)
        if entry is not None:
            entry.rank = rank_of(entry.worker, self._outstanding.of(name), doubted=self.is_doubted(name))

    def _settle(self, name: WorkerName) -> None:
        self._outstanding.settle(name)
        self._doubts.settle(name)

    def _refusal(self, wanted: Requirements) -> Refused:
        groups = self.able(wanted)
        able = [entry.worker for entry in (*groups.warm, *groups.cold)]
        return refusal(wanted, able=able, all_of_kind=[entry.worker for entry in self.of_kind(wanted.kind)])


def is_warm(worker: Announcement, wanted: Requirements) -> bool:
    """Whether it can begin without loading anything; who announces no models at all is not known to load any."""
    if wanted.model is not None:
        return wanted.model in worker.resident_models
    return not worker.models or default_model(worker, wanted.language) in worker.resident_models


def _best(entries: Sequence[Entry], avoid: frozenset[WorkerName], tie: int) -> Entry | None:
    """Of the lowest rank; None if nobody is left that takes sessions."""
    if avoid:
        entries = [entry for entry in entries if entry.worker.name not in avoid]
    ranks = [entry.rank for entry in entries]
    if not ranks or not (lowest := min(ranks)).takes_sessions:
        return None
    equals = [entry for entry, rank in zip(entries, ranks, strict=True) if rank == lowest]
    return equals[tie % len(equals)]


def _name(entry: Entry) -> WorkerName:
    return entry.worker.name


def _is_as_able(before: Announcement, after: Announcement) -> bool:
    return (
        before.kind == after.kind
        and before.models == after.models
        and before.resident_models == after.resident_models
        and before.model_languages == after.model_languages
        and before.capabilities == after.capabilities
    )
