"""A session's way to another voice or worker: made ready while the old one speaks, done between two turns."""

from collections.abc import Callable

from actors.sessions.chores import Chores
from actors.sessions.line import Line
from actors.sessions.place import Place
from actors.sessions.places import UNREACHABLE, Places
from actors.sessions.rest import Rest
from actors.sessions.wishes import Wanted
from protocol.errors import Refused
from protocol.ids import ModelId, UnixMicros, WorkerName
from protocol.workers import Announcement


class Move:
    """On the loop. At most one is under way.

    Args:
        is_between_turns: nothing is being spoken or prepared.
        on_refused: a change that was asked for was not granted (code, reason); the old voice stays.

    Attributes:
        wanted: the voice.
        next: a place that is ours already, for the next turn.
    """

    def __init__(
        self,
        *,
        wanted: Wanted,
        places: Places,
        line: Line,
        chores: Chores,
        is_between_turns: Callable[[], bool],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self.wanted = wanted
        self.next: Place | None = None
        self._places = places
        self._line = line
        self._chores = chores
        self._is_between_turns = is_between_turns
        self._on_refused = on_refused
        self._asked_for = False
        self._under_way = False
        self._worth_waiting = False
        self._refused = Rest(chores, then=self.prepare)
        """Before a voice that was not granted is asked for again."""
        self._late = Rest(chores, then=self.prepare)
        """Before somebody who asked for a voice is told that its worker has not come back."""
        self._loading = Rest(chores)
        """What fails is tried again, and what is under way is not asked for at each word."""
        self._told_cold: Wanted | None = None
        """Whose voice is known to be cold because it could not be loaded."""
        self._known: dict[WorkerName, UnixMicros | None] = {}

    def want(self, wanted: Wanted) -> None:
        """Speak with this from the next turn on. A worker that has been silent for moments only is waited for.

        Raises:
            Refused: nobody can, or nobody has it in memory and it is not to be waited for.
        """
        before = self.wanted
        if (before.voice, before.language, before.reference) != (wanted.voice, wanted.language, wanted.reference):
            self._look(wanted)
        self.wanted = wanted
        if self.next is not None and not self.next.serves(wanted):
            self.end()
        self._asked_for = True
        self._told_cold = None
        self._refused.end()
        self._loading.end()
        self.prepare()

    def prepare(self, *, now: bool = False) -> None:
        """See whether the next turn can be spoken as it is wanted, and make that ready.

        Args:
            now: the next turn begins. A change at the same worker waits for this: the turn that sounds would feel it.
        """
        here = self._line.place
        if here is None or not self._line.ready or self._under_way or self._refused.under_way:
            return
        try:
            better = self._better_than(here)
        except Refused as refused:
            self._not_to_be_had(refused)
            return
        if better is None:
            self._asked_for = False
            self.end()
            return
        at_boundary = now or self._is_between_turns()
        is_next = self.next is not None and self.next.model == better.model and self.next.agrees(self.wanted)
        if not is_next and (better.name != here.name or at_boundary):
            self._under_way = True
            self._worth_waiting = self._asked_for or better.resident
            self._line.text_waits = at_boundary and self._worth_waiting
            self._chores.start(self._go(here, better))

    def at_boundary(self) -> None:
        """One turn is over, the next has not begun: what is ready is done."""
        if self.next is not None:
            self._arrive()
        else:
            self.prepare()

    def turn_begins(self) -> None:
        """The last moment for what is due."""
        if self.next is not None:
            self._arrive()
        elif self._under_way:
            self._line.text_waits = self._worth_waiting
        else:
            self.prepare(now=True)

    def heard_of(self, name: WorkerName, announcement: Announcement | None) -> None:
        """The worker that was made ready may be gone before it was needed; a new one may grant what was refused."""
        started_at = None if announcement is None else announcement.started_at
        if started_at is not None and self._known.get(name) != started_at:
            self._refused.end()
        self._loading.end()
        self._known[name] = started_at
        if self.next is None or name != self.next.name:
            return
        if announcement is None or not self.next.is_as(announcement) or announcement.state != "ready":
            self.end()

    def take_next(self) -> Place | None:
        """The place that was made ready, for whoever has lost the old one."""
        place, self.next = self.next, None
        return place

    def end(self) -> None:
        """What was made ready is not wanted any more."""
        self._leave(self.take_next())

    def _leave(self, place: Place | None) -> None:
        """Give it back; not the place that is spoken from."""
        if place is not None and place.name != self._line.worker:
            self._places.leave(place.name)

    def _look(self, wanted: Wanted) -> None:
        try:
            self._places.look(wanted, here=self._line.place if self._line.ready else None)
        except Refused as refused:
            if not self._places.may_return(wanted, refused):
                raise

    def _not_to_be_had(self, refused: Refused) -> None:
        """What is wanted: somebody who asked for it is told so, unless who could do it may be back in a moment."""
        if not self._asked_for:
            return
        if not self._places.may_return(self.wanted, refused):
            self._asked_for = False
            self._on_refused(refused.code, refused.reason)
        else:
            self._late.begin()

    def _better_than(self, here: Place) -> Place | None:
        """Where the next turn is to be spoken; None: where the last one was.

        Raises:
            Refused: nobody can serve what is wanted.
        """
        wanted, stays = self.wanted, here.worker.state == "ready"
        if stays and here.serves(wanted):
            return None
        if stays and wanted.voice in (here.model, None) and here.suits(wanted):
            return here.agreeing(wanted)
        found = self._places.look(wanted, here=here) if stays else self._places.look_for_any(wanted)
        if found.instead_of is not None:
            self._have_loaded(found.instead_of, meanwhile=here.model)
        if stays and here.suits(wanted) and (found.model == here.model or found.instead_of is not None):
            return None if here.agrees(wanted) else here.agreeing(wanted)
        return found

    def _have_loaded(self, model: ModelId, *, meanwhile: ModelId) -> None:
        """In the background; that it failed is told once."""
        why = self._places.why_cold(model)
        if why and self._told_cold != self.wanted:
            self._told_cold = self.wanted
            self._on_refused("model-not-loaded", f"{model} could not be loaded ({why}); {meanwhile} speaks meanwhile.")
        if not self._loading.under_way:
            self._loading.begin()
            self._places.have_loaded(self.wanted)

    async def _go(self, here: Place, better: Place) -> None:
        wish = self.wanted
        asked_for, self._asked_for = self._asked_for, False
        try:
            place = await self._granted(here, better)
        except Refused as refused:
            self._under_way = False
            if wish == self.wanted:
                self._refused.begin()
                if asked_for:
                    self._on_refused(refused.code, refused.reason)
            self._go_on_otherwise()
            return
        self._under_way = False
        if place.name == here.name:
            self._changed_here(place)
        elif wish == self.wanted or place.serves(self.wanted):
            self._keep(place)
        else:
            self._leave(place)
        if wish != self.wanted:
            self._go_on_otherwise()

    def _changed_here(self, place: Place) -> None:
        """The worker that speaks for us speaks like this from now on, unless it was lost meanwhile."""
        if self._line.ready and self._line.worker == place.name:
            self._line.use(place)
            self._line.go_on()

    def _keep(self, place: Place) -> None:
        """It is ours for the next turn, or at once if that has begun."""
        before, self.next = self.next, place
        if before is not None and before.name != place.name:
            self._leave(before)
        if self._line.text_waits or self._is_between_turns():
            self._arrive()

    def _go_on_otherwise(self) -> None:
        """Nothing came of it: see what else is wanted by now, and let the text go on if that is nothing."""
        self.prepare(now=self._line.text_waits)
        if self._line.ready and not self._under_way:
            self._line.go_on()

    async def _granted(self, here: Place, better: Place) -> Place:
        if better.name == here.name:
            try:
                await self._places.start_at(better)
            except Refused as refused:
                if refused.code == UNREACHABLE:
                    self._places.stay(here)
                raise
            return better
        was_found = self.wanted.voice in (None, better.model, better.instead_of)
        wish = self.wanted if was_found else self.wanted.in_any_voice()
        return await self._places.take(wish, avoid=() if here.worker.state == "ready" else (here.name,))

    def _arrive(self) -> None:
        if not self._line.ready:
            return  # the old place was lost: whoever looks for another takes this one
        place = self.take_next()
        if place is not None:
            self._line.use(place)
            self._line.go_on()
