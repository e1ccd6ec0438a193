"""A simulated deployment: workers that grant places, routers that see them late, sessions that come and go."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from actors.policies.placing import place
from actors.policies.roster import Roster
from actors.policies.routing import Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, Load

ANNOUNCE_S = 2.0
LOAD_S = 3.0
MEASURED_AFTER = 1
"""Sessions that a worker has begun before it knows how fast it is."""
LANES = 2
"""Pieces of text that a worker speaks at once; others wait."""
SPEAKING = 0.3
"""Of the sessions, at any time."""
DEFAULT = ModelId("model-00")


@dataclass(slots=True)
class SimWorker:
    """Grants places one by one, as `StartSpeaking` does, and so is never overfilled."""

    name: WorkerName
    models: tuple[ModelId, ...]
    resident: tuple[ModelId, ...]
    capacity: int
    true_p50_ms: float
    sessions: int = 0
    began: int = 0
    most: int = 0
    loading: set[ModelId] = field(default_factory=set)

    def grant(self) -> bool:
        if self.sessions >= self.capacity:
            return False
        self.sessions += 1
        self.began += 1
        self.most = max(self.most, self.sessions)
        return True

    def announcement(self, chance: random.Random) -> Announcement:
        speaking = sum(chance.random() < SPEAKING for _ in range(self.sessions))
        measured = self.true_p50_ms * chance.uniform(0.95, 1.05) if self.began > MEASURED_AFTER else 0.0
        return Announcement(
            name=self.name,
            addr="",
            models=self.models,
            resident_models=self.resident,
            metrics=Load(queue_depth=max(0, speaking - LANES), p50_first_audio_ms=measured),
            sessions=self.sessions,
            capacity=self.capacity,
        )


class SimRouter:
    """A roster of its own; `forgetful` leaves out what it placed itself, to see what that is good for."""

    def __init__(self, first_tie: int, *, forgetful: bool = False) -> None:
        self.roster = Roster()
        self._ties = first_tie
        self._forgetful = forgetful

    def send(self, wanted: Requirements, now: float) -> tuple[WorkerName, ModelId, WorkerName | None]:
        """Worker, model, who is to load what was wanted."""
        self.roster.expire(now)
        self._ties += 1
        tie = (self._ties * 2_654_435_761 & 0xFFFF_FFFF) >> 8
        if not self._forgetful:
            for name in wanted.avoid:
                self.roster.doubt(name, now)
        decision = place(self.roster, wanted, when_cold="fallback", preferred=DEFAULT, tie=tie)
        placement = decision.placement
        if not self._forgetful:
            self.roster.placed(placement.worker.name, now)
        return placement.worker.name, placement.model, decision.load


@dataclass(slots=True)
class Tally:
    """What came of it all."""

    requests: int = 0
    begun: int = 0
    fallbacks: int = 0
    loads: int = 0
    tries_refused: int = 0
    """By the worker itself: its place was gone when the session came."""
    refused: list[str] = field(default_factory=list)
    refused_with_places_known: int = 0
    """Although the router knew of a worker with a free place that it had not asked: must not happen."""
    load_at_times: list[list[float]] = field(default_factory=list)


class World:
    """Everything happens in the order of simulated time; the same seed gives the same run."""

    def __init__(self, workers: list[SimWorker], routers: list[SimRouter], *, seed: int = 1) -> None:
        self.workers = {worker.name: worker for worker in workers}
        self.routers = routers
        self.tally = Tally()
        self.now = 0.0
        self._chance = random.Random(seed)  # noqa: S311  # a simulation, reproducible
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        for worker in workers:
            self._tell(worker)
            self._at(self._chance.uniform(0.0, ANNOUNCE_S), partial(self._announce, worker))

    def join(self, worker: SimWorker, after_s: float) -> None:
        """A worker comes later."""

        def arrive() -> None:
            self.workers[worker.name] = worker
            self._announce(worker)

        self._at(after_s, arrive)

    def run(self, requests: int, *, per_s: float, hold_s: float, wish: Callable[[random.Random], ModelId]) -> Tally:
        """So many sessions come, at random; each stays `hold_s` on average."""
        at = 0.0
        for _ in range(requests):
            at += self._chance.expovariate(per_s)
            self._at(at, lambda: self._session(wish(self._chance), hold_s))
        for second in range(1, int(at)):
            self._at(second, self._look)
        while self._agenda and self.now <= at:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
        return self.tally

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), happen))

    def _announce(self, worker: SimWorker) -> None:
        self._tell(worker)
        self._at(self.now + ANNOUNCE_S, lambda: self._announce(worker))

    def _tell(self, worker: SimWorker) -> None:
        announcement = worker.announcement(self._chance)
        for router in self.routers:
            router.roster.put(announcement)

    def _look(self) -> None:
        self.tally.load_at_times.append([w.sessions / w.capacity for w in self.workers.values()])

    def _session(self, model: ModelId, hold_s: float) -> None:
        """Asks any router, and again when the worker has no place after all."""
        self.tally.requests += 1
        router = self._chance.choice(self.routers)
        avoid: frozenset[WorkerName] = frozenset()
        while True:
            wanted = Requirements(kind="tts", language="en", model=model, avoid=avoid)
            try:
                name, spoken, loads = router.send(wanted, self.now)
            except Refused as refused:
                self._count_refusal(router, wanted, refused)
                return
            if loads is not None:
                self._load(self.workers[loads], model)
            if self.workers[name].grant():
                break
            self.tally.tries_refused += 1
            avoid |= {name}
        self.tally.begun += 1
        self.tally.fallbacks += spoken != model
        worker = self.workers[name]
        self._load(worker, spoken)  # where it is waited for
        self._at(self.now + self._chance.expovariate(1.0 / hold_s), lambda: self._leave(worker))

    def _leave(self, worker: SimWorker) -> None:
        worker.sessions -= 1

    def _load(self, worker: SimWorker, model: ModelId) -> None:
        if model in worker.resident or model in worker.loading:
            return
        worker.loading.add(model)
        self.tally.loads += 1

        def loaded() -> None:
            worker.loading.discard(model)
            worker.resident = (*worker.resident, model)
            self._tell(worker)

        self._at(self.now + LOAD_S, loaded)

    def _count_refusal(self, router: SimRouter, wanted: Requirements, refused: Refused) -> None:
        self.tally.refused.append(refused.code)
        able = router.roster.able(wanted)
        for entry in (*able.warm, *able.cold):
            seen = entry.worker
            if seen.sessions < seen.capacity and seen.name not in wanted.avoid:
                self.tally.refused_with_places_known += 1
