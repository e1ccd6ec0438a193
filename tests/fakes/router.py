"""A router over a fixed list of workers that a test changes by hand."""

from collections.abc import Callable

from actors.policies.placing import place
from actors.policies.roster import Roster
from actors.policies.routing import Placement, Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.routing import WhenCold
from protocol.workers import Announcement, WorkerKind

OnChange = Callable[[WorkerName, Announcement | None], None]


class FakeRouter:
    """The first worker that fits is chosen; one that has the model in memory comes before one that has not.

    Attributes:
        warming: what the real one would now have loaded in the background: who was asked for which model.
        sent_to: where sessions were sent, in order; a tentative question sends nobody.
        late: who is gone, and expected back.
        failed: what could not be loaded, and why.
    """

    def __init__(self, *workers: Announcement) -> None:
        self.workers: dict[WorkerName, Announcement] = {w.name: w for w in workers}
        self.watchers: list[OnChange] = []
        self.warming: list[tuple[WorkerName, ModelId]] = []
        self.sent_to: list[WorkerName] = []
        self.late: list[Announcement] = []
        self.failed: dict[ModelId, str] = {}

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = "wait",
        avoid: frozenset[WorkerName] = frozenset(),
        tentative: bool = False,
    ) -> Placement:
        able = [w for w in self._able("tts", language, avoid) if w.models and (voice is None or voice in w.models)]
        placements = [Placement(worker=w, model=ModelId(voice or w.models[0])) for w in able]
        placement = next(iter(sorted(placements, key=lambda it: not it.resident)), None)
        if placement is None:
            raise Refused("no-voice", f"no worker speaks {language} as {voice}")
        if not placement.resident and when_cold == "refuse":
            raise Refused("model-not-resident", f"{placement.model} is in no worker's memory")
        fallback = self._fallback(placement, language, avoid) if when_cold == "fallback" else None
        if not tentative:
            self.sent_to.append((fallback or placement).worker.name)
            if fallback is not None:
                self.warming.append((placement.worker.name, placement.model))
        return fallback or placement

    def _fallback(self, wanted: Placement, language: str, avoid: frozenset[WorkerName]) -> Placement | None:
        """None if it is not needed, or there is none."""
        if wanted.resident:
            return None
        for worker in self._able("tts", language, avoid):
            for model in worker.resident_models:
                return Placement(worker=worker, model=model, instead_of=wanted.model)
        return None

    def choose_asr(
        self, *, language: str, avoid: frozenset[WorkerName] = frozenset(), tentative: bool = False
    ) -> Announcement:
        for worker in self._able("asr", language, avoid):
            if not tentative:
                self.sent_to.append(worker.name)
            return worker
        raise Refused("no-recognizer", f"no worker understands {language}")

    def _able(self, kind: WorkerKind, language: str, avoid: frozenset[WorkerName]) -> list[Announcement]:
        return [
            worker
            for worker in self.workers.values()
            if worker.kind == kind
            and worker.state == "ready"
            and worker.name not in avoid
            and language in worker.capabilities.languages
        ]

    def may_return(self, *, voice: str | None, language: str) -> bool:
        return any(
            (voice is None or voice in worker.models) and language in worker.capabilities.languages
            for worker in self.late
        )

    def lives(self, name: WorkerName) -> bool:
        return name in self.workers and self.workers[name].pulse_ms > 0

    def why_cold(self, model: ModelId) -> str:
        return self.failed.get(model, "")

    def voices(self) -> tuple[str, ...]:
        return tuple(model for w in self.workers.values() if w.kind == "tts" for model in w.models)

    def watch(self, call_back: OnChange) -> Callable[[], None]:
        self.watchers.append(call_back)
        return lambda: self.watchers.remove(call_back)

    def announce(self, worker: Announcement) -> None:
        """A worker comes, comes back, or says something new."""
        self.workers[worker.name] = worker
        for watcher in tuple(self.watchers):
            watcher(worker.name, worker)

    def withdraw(self, name: WorkerName) -> None:
        """A worker is gone."""
        del self.workers[name]
        for watcher in tuple(self.watchers):
            watcher(name, None)


class StrictRouter(FakeRouter):
    """Chooses by the real rules: full workers take nobody, and refusals have the real codes."""

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = "wait",
        avoid: frozenset[WorkerName] = frozenset(),
        tentative: bool = False,
    ) -> Placement:
        model = None if voice is None else ModelId(voice)
        wanted = Requirements(kind="tts", language=language, model=model, avoid=avoid)
        decision = place(Roster(self.workers.values()), wanted, when_cold=when_cold)
        placement = decision.placement
        if not tentative:
            self.sent_to.append(placement.worker.name)
            if decision.load is not None and placement.instead_of is not None:
                self.warming.append((decision.load, placement.instead_of))
        return placement

    def choose_asr(
        self, *, language: str, avoid: frozenset[WorkerName] = frozenset(), tentative: bool = False
    ) -> Announcement:
        wanted = Requirements(kind="asr", language=language, avoid=avoid)
        worker = place(Roster(self.workers.values()), wanted, when_cold="wait").placement.worker
        if not tentative:
            self.sent_to.append(worker.name)
        return worker
