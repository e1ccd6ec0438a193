"""A router over a fixed list of workers that a test changes by hand."""

from collections.abc import Callable

from actors.policies.routing import Placement
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.routing import WhenCold
from protocol.workers import Announcement

OnChange = Callable[[WorkerName, Announcement | None], None]


class FakeRouter:
    """The first worker that fits is chosen."""

    def __init__(self, *workers: Announcement) -> None:
        self.workers: dict[WorkerName, Announcement] = {w.name: w for w in workers}
        self.watchers: list[OnChange] = []

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = "wait",
        avoid: frozenset[WorkerName] = frozenset(),
    ) -> Placement:
        del when_cold
        for worker in self.workers.values():
            if (
                worker.name in avoid
                or worker.kind != "tts"
                or not worker.models
                or language not in worker.capabilities.languages
            ):
                continue
            if voice is None:
                return Placement(worker=worker, model=worker.models[0])
            if voice in worker.models:
                return Placement(worker=worker, model=ModelId(voice))
        raise Refused("no-voice", f"no worker speaks {language} as {voice}")

    def choose_asr(self, *, language: str, avoid: frozenset[WorkerName] = frozenset()) -> Announcement:
        for worker in self.workers.values():
            if worker.name not in avoid and worker.kind == "asr" and language in worker.capabilities.languages:
                return worker
        raise Refused("no-recognizer", f"no worker understands {language}")

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
