"""Where a session speaks from: a worker, its model, and what was agreed on."""

import dataclasses
from dataclasses import dataclass

from actors.policies.routing import speaks
from actors.sessions.wishes import Wanted
from protocol.ids import ModelId, UnixMicros, WorkerName
from protocol.speaking import ReferenceId
from protocol.workers import Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A worker and its model.

    Attributes:
        worker: as it was announced last.
        instead_of: the model that is wanted and not resident anywhere.
        language: what was agreed on, as are `speed` and `reference`.
    """

    worker: Announcement
    model: ModelId
    instead_of: ModelId | None = None
    language: str = ""
    speed: float = 1.0
    reference: ReferenceId | None = None

    @property
    def name(self) -> WorkerName:
        """The worker's."""
        return self.worker.name

    @property
    def started_at(self) -> UnixMicros:
        """The worker's."""
        return self.worker.started_at

    @property
    def resident(self) -> bool:
        """Whether nothing has to be loaded."""
        return self.model in self.worker.resident_models

    def suits(self, wanted: Wanted) -> bool:
        """Whether it speaks the language, in whatever voice."""
        return speaks(self.worker, wanted.language, self.model)

    def agrees(self, wanted: Wanted) -> bool:
        """Whether language, speed and what is imitated are as agreed on."""
        return self == self.agreeing(wanted)

    def agreeing(self, wanted: Wanted) -> "Place":
        """The same, with this language and speed; a voice that stands in for the wanted one imitates nobody."""
        reference = wanted.reference if wanted.voice in (self.model, None) else None
        return dataclasses.replace(self, language=wanted.language, speed=wanted.speed, reference=reference)

    def changed_to(self, wanted: Wanted) -> "Place | None":
        """The same worker with the wanted voice; None if it does not have that at once, or takes nobody any more."""
        model = self.model if wanted.voice is None else ModelId(wanted.voice)
        is_there = model in self.worker.resident_models or wanted.when_cold == "wait"
        if self.worker.state != "ready" or not (is_there and model in self.worker.models):
            return None
        if not speaks(self.worker, wanted.language, model):
            return None
        return dataclasses.replace(self, model=model, instead_of=None).agreeing(wanted)

    def serves(self, wanted: Wanted) -> bool:
        """Whether it is just what is wanted."""
        return wanted.voice in (self.model, None) and self.agrees(wanted)

    def is_as(self, announcement: Announcement) -> bool:
        """Whether this is the same worker, not another one under its name."""
        return self.name == announcement.name and self.started_at == announcement.started_at
