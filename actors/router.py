"""Finds the worker for a session, from the registry's view in memory: no I/O, a few microseconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from actors import metrics
from actors.policies import routing
from actors.policies.explaining import explain
from actors.policies.placing import Decision, place
from actors.policies.roster import Roster
from actors.policies.routing import Placement, Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.ports import WorkerRegistry
from protocol.routing import Candidate, WhenCold
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)
_SCATTER: Final = 2_654_435_761
"""Knuth's multiplier: requests that come in a pattern (one for hearing, one for speaking) still take turns evenly."""

OnChange = Callable[[WorkerName, Announcement | None], None]
LATELY_S: Final = 5.0
"""A worker that was here so lately may only be late: on a busy machine a pulse is, and a restart takes 2 to 3 s."""
NOBODY: Final[frozenset[WorkerName]] = frozenset()


class Warmer(Protocol):
    """Has models loaded in the background (`actors.warming`)."""

    on_failed: Callable[[WorkerName], None]

    def warm(self, worker: WorkerName, model: ModelId) -> None:
        """Ask for it, unless somebody is being asked already. Never waits."""

    def unable(self, model: ModelId) -> frozenset[WorkerName]:
        """Workers that have failed to load it, and are not asked again yet."""

    def why_not(self, model: ModelId) -> str:
        """Why it could not be loaded when that was tried last; empty if it could, or was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What would be decided now, and why; `left_off`: how many candidates more there are."""

    outcome: Placement | Refused
    candidates: tuple[Candidate, ...]
    left_off: int


class Router:
    """Everything runs on the loop. Holds no state that another router would need: any number may work side by side.

    Args:
        default_voice: what a session gets that names none, as long as it is there; any other voice otherwise.
        warmer: loads what is in nobody's memory; without one, `fallback` is `wait`.
        clock: monotonic seconds.
        advise: on a model that nobody has: what to do about it, or nothing.
        first_tie: where this router begins to take turns among equals; another number for each process.
    """

    def __init__(
        self,
        registry: WorkerRegistry,
        *,
        default_voice: ModelId | None = None,
        warmer: Warmer | None = None,
        clock: Callable[[], float] = time.monotonic,
        advise: Callable[[ModelId], str] = lambda _: "",
        first_tie: int = 0,
    ) -> None:
        self._registry = registry
        self._default_voice = default_voice
        self._warmer = warmer
        if warmer is not None:
            warmer.on_failed = self._say_again
        self._clock = clock
        self._advise = advise
        self._ties = first_tie
        self._roster = Roster()
        self._watchers: list[OnChange] = []
        self._gone: dict[WorkerName, tuple[Announcement, float]] = {}

    async def start(self) -> None:
        """Watch the registry from now on.

        Raises:
            BusUnavailable: it cannot be read.
        """
        await self._registry.watch(self._changed)
        for worker in self._registry.snapshot():  # a registry may tell only of what changes
            if worker.name not in self._roster:
                self._roster.put(worker)

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = "wait",
        avoid: frozenset[WorkerName] = NOBODY,
        tentative: bool = False,
    ) -> Placement:
        """The worker and its model for a voice (None: the default one).

        Args:
            voice: a model's id; None is the deployment's default.
            language: what is to be spoken.
            when_cold: what to do about a model that is in nobody's memory.
            avoid: workers that are out of the question.
            tentative: nobody is sent there; it is only asked who would serve.

        Raises:
            Refused: nobody can serve this; the reason names what there is.
        """
        model = None if voice is None else ModelId(voice)
        wanted = Requirements(kind="tts", language=language, model=model, avoid=avoid)
        return self.place(wanted, when_cold=when_cold, tentative=tentative)

    def choose_asr(
        self, *, language: str, avoid: frozenset[WorkerName] = NOBODY, tentative: bool = False
    ) -> Announcement:
        """The worker that understands `language`.

        Raises:
            Refused: there is none.
        """
        wanted = Requirements(kind="asr", language=language, avoid=avoid)
        return self.place(wanted, when_cold="wait", tentative=tentative).worker

    def place(self, wanted: Requirements, *, when_cold: WhenCold, tentative: bool = False) -> Placement:
        """The best worker; unless `tentative`, counted as sent there, and asked to load what is missing.

        Raises:
            Refused: nobody can serve this.
        """
        if not tentative:
            for name in wanted.avoid:
                self._roster.doubt(name, self._clock())
        try:
            decision = self._decide(wanted, when_cold)
        except Refused as refused:
            if not tentative:
                metrics.ROUTES.labels(wanted.kind, refused.code).inc()
            raise
        if not tentative:
            metrics.ROUTES.labels(wanted.kind, _outcome(decision.placement, wanted)).inc()
            self._carry_out(decision)
        return decision.placement

    def explain(self, wanted: Requirements, *, when_cold: WhenCold) -> Explained:
        """What `place` would do now, and every candidate with its verdict. Changes nothing."""
        outcome: Placement | Refused
        decision = None
        try:
            decision = self._decide(wanted, when_cold)
            outcome = decision.placement
        except Refused as refused:
            outcome = refused
        candidates, left_off = explain(self._roster, wanted, decision)
        return Explained(outcome=outcome, candidates=candidates, left_off=left_off)

    def may_return(self, *, voice: str | None, language: str) -> bool:
        """Whether a TTS worker that could speak this was here a moment ago, without having said that it would end."""
        wanted = Requirements(kind="tts", language=language, model=None if voice is None else ModelId(voice))
        return any(
            worker.kind == "tts" and worker.state == "ready" and routing.misfit(worker, wanted) is None
            for worker, since in self._gone.values()
            if self._clock() - since < LATELY_S
        )

    def lives(self, name: WorkerName) -> bool:
        """Whether it is here and has promised a pulse: without that it would be gone."""
        entry = self._roster.entry(name)
        return entry is not None and entry.worker.pulse_ms > 0 and not entry.worker.via

    def voices(self) -> tuple[str, ...]:
        """What can be asked for, the default first."""
        ready = [w for w in self._registry.snapshot() if w.kind == "tts" and w.state == "ready"]
        return tuple(sorted(routing.models(ready), key=lambda model: (model != self._default_voice, model)))

    def why_cold(self, model: ModelId) -> str:
        """Why a model that was to be loaded is not there; empty if nothing is known to be wrong with it."""
        return "" if self._warmer is None else self._warmer.why_not(model)

    def watch(self, call_back: OnChange) -> Callable[[], None]:
        """Call this on the loop at each change of a worker (None: gone) and failed load; the result ends it."""
        self._watchers.append(call_back)

        def end() -> None:
            if call_back in self._watchers:
                self._watchers.remove(call_back)

        return end

    def _decide(self, wanted: Requirements, when_cold: WhenCold) -> Decision:
        self._roster.expire(self._clock())
        self._ties += 1
        unable = NOBODY
        if self._warmer is None:
            when_cold = "wait" if when_cold == "fallback" else when_cold
        elif when_cold == "fallback" and (model := wanted.model or self._default_voice) is not None:
            unable = self._warmer.unable(model)
        try:
            return place(
                self._roster,
                wanted,
                when_cold=when_cold,
                preferred=self._default_voice,
                tie=(self._ties * _SCATTER & 0xFFFF_FFFF) >> 8,
                unable_to_load=unable,
            )
        except Refused as refused:
            if refused.code != "no-such-model" or wanted.model is None or not (hint := self._advise(wanted.model)):
                raise
            raise Refused(refused.code, f"{refused.reason}; {hint}") from None

    def _carry_out(self, decision: Decision) -> None:
        placement = decision.placement
        self._roster.placed(placement.worker.name, self._clock())
        if self._warmer is not None and decision.load is not None and placement.instead_of is not None:
            self._warmer.warm(decision.load, placement.instead_of)

    def _say_again(self, name: WorkerName) -> None:
        """What it could not load changes what can be had of it."""
        if (entry := self._roster.entry(name)) is not None:
            for watcher in tuple(self._watchers):
                watcher(name, entry.worker)

    def _changed(self, name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is None:
            _LOG.info("worker gone", worker=name)
            self._note_gone(name)
            self._roster.remove(name)
        else:
            self._gone.pop(name, None)
            self._roster.put(announcement)
        for watcher in tuple(self._watchers):
            watcher(name, announcement)

    def _note_gone(self, name: WorkerName) -> None:
        now, entry = self._clock(), self._roster.entry(name)
        self._gone = {known: gone for known, gone in self._gone.items() if now - gone[1] < LATELY_S}
        if entry is not None:
            self._gone[name] = (entry.worker, now)


def _outcome(placement: Placement, wanted: Requirements) -> str:
    if placement.instead_of is not None:
        return "fallback"
    return "placed" if placement.resident or wanted.kind == "asr" else "cold"
