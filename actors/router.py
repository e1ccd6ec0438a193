"""Finds the worker for a session, from the registry's view in memory: no I/O, a few microseconds."""

from collections.abc import Callable

import structlog

from actors.policies import routing
from actors.policies.routing import Placement, Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.ports import WorkerRegistry
from protocol.routing import WhenCold
from protocol.workers import Announcement, WorkerKind

_LOG = structlog.get_logger(__name__)
_PREFERENCE_LOST = ("no-such-model", "no-such-language", "no-capacity")

OnChange = Callable[[WorkerName, Announcement | None], None]


class Router:
    """Everything runs on the loop.

    Args:
        default_voice: what a session gets that names none, as long as it is there; any other voice otherwise.
    """

    def __init__(self, registry: WorkerRegistry, *, default_voice: ModelId | None = None) -> None:
        self._registry = registry
        self._default_voice = default_voice
        self._watchers: list[OnChange] = []

    async def start(self) -> None:
        """Watch the registry from now on.

        Raises:
            BusUnavailable: it cannot be read.
        """
        await self._registry.watch(self._changed)

    def choose_tts(
        self,
        *,
        voice: str | None,
        language: str,
        when_cold: WhenCold = "wait",
        avoid: frozenset[WorkerName] = frozenset(),
    ) -> Placement:
        """The worker and its model for a voice (None: the default one).

        Args:
            voice: a model's id; None is the deployment's default.
            language: what is to be spoken.
            when_cold: what to do about a model that is in nobody's memory.
            avoid: workers that are out of the question.

        Raises:
            Refused: nobody can serve this; the reason names what there is.
        """
        del when_cold
        if voice is not None:
            model = ModelId(voice)
            return Placement(worker=self._choose("tts", language, model, avoid), model=model)
        if self._default_voice is not None:
            try:
                default = self._choose("tts", language, self._default_voice, avoid)
                return Placement(worker=default, model=self._default_voice)
            except Refused as refused:
                if refused.code not in _PREFERENCE_LOST:
                    raise
        worker = self._choose("tts", language, None, avoid)
        fallback = routing.default_model(worker)
        if fallback is None:
            raise Refused("no-such-model", f"the worker {worker.name} has no model")
        return Placement(worker=worker, model=fallback)

    def choose_asr(self, *, language: str, avoid: frozenset[WorkerName] = frozenset()) -> Announcement:
        """The worker that understands `language`.

        Raises:
            Refused: there is none.
        """
        return self._choose("asr", language, None, avoid)

    def voices(self) -> tuple[str, ...]:
        """What can be asked for, the default first."""
        ready = [w for w in self._registry.snapshot() if w.kind == "tts" and w.state == "ready"]
        return tuple(sorted(routing.models(ready), key=lambda model: (model != self._default_voice, model)))

    def watch(self, call_back: OnChange) -> Callable[[], None]:
        """Call this on the loop at each change of a worker (None: gone); the result ends it."""
        self._watchers.append(call_back)

        def end() -> None:
            if call_back in self._watchers:
                self._watchers.remove(call_back)

        return end

    def _choose(
        self, kind: WorkerKind, language: str, model: ModelId | None, avoid: frozenset[WorkerName]
    ) -> Announcement:
        wanted = Requirements(kind=kind, language=language, model=model, avoid=avoid)
        return routing.choose(self._registry.snapshot(), wanted)

    def _changed(self, name: WorkerName, announcement: Announcement | None) -> None:
        if announcement is None:
            _LOG.info("worker gone", worker=name)
        for watcher in tuple(self._watchers):
            watcher(name, announcement)
