"""A session's way to another voice or worker: made ready while the old one speaks, done between two turns."""

from collections.abc import Callable
from typing import Final

from actors.sessions.chores import Chores
from actors.sessions.line import Line
from actors.sessions.places import Place, Places
from actors.sessions.wishes import Wanted
from protocol.errors import Refused
from protocol.ids import UnixMicros, WorkerName
from protocol.workers import Announcement

REST_S: Final = 5.0
"""Before a voice that was not granted is asked for again."""


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
        self._rests = False
        self._is_loading = False
        self._known: dict[WorkerName, UnixMicros | None] = {}

    def want(self, wanted: Wanted) -> None:
        """Speak with this from the next turn on.

        Raises:
            Refused: nobody can, or nobody has it in memory and it is not to be waited for.
        """
        self._places.look(wanted)
        self.wanted = wanted
        self._asked_for, self._rests, self._is_loading = True, False, False
        self.prepare()

    def prepare(self, *, now: bool = False) -> None:
        """See whether the next turn can be spoken as it is wanted, and make that ready.

        Args:
            now: the next turn begins. A change at the same worker waits for this: the turn that sounds would feel it.
        """
        here = self._line.place
        if here is None or not self._line.ready or self._under_way or self._rests:
            return
        better = self._better_than(here)
        at_boundary = now or self._is_between_turns()
        if better is None:
            self._asked_for = False
        elif better.name != here.name or at_boundary:
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
            self._rests = False
        self._is_loading = False
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
        place = self.take_next()
        if place is not None:
            self._places.leave(place.name)

    def _better_than(self, here: Place) -> Place | None:
        """Where the next turn is to be spoken; None: where the last one was."""
        wanted, stays = self.wanted, here.worker.state == "ready"
        if stays and here.agrees(wanted) and wanted.voice in (here.model, None):
            return None
        try:
            found = self._places.look(wanted) if stays else self._places.look_for_any(wanted)
        except Refused:
            return None  # nobody else
        if found.instead_of is not None:
            self._have_loaded(wanted)
        if stays and here.suits(wanted) and (found.model == here.model or found.instead_of is not None):
            return None if here.agrees(wanted) else here.agreeing(wanted)
        return found

    def _have_loaded(self, wanted: Wanted) -> None:
        """Once in a while: what fails is tried again, and what is under way is not asked for at each word."""
        if self._is_loading:
            return

        def end() -> None:
            self._is_loading = False

        self._is_loading = True
        self._chores.later(REST_S, end)
        self._places.have_loaded(wanted)

    async def _go(self, here: Place, better: Place) -> None:
        asked_for, self._asked_for = self._asked_for, False
        try:
            place = await self._granted(here, better)
        except Refused as refused:
            self._under_way = False
            self._rest()
            if asked_for:
                self._on_refused(refused.code, refused.reason)
            if self._line.ready:
                self._line.go_on()
            return
        self._under_way = False
        self.next = place
        if self._line.text_waits or self._is_between_turns():
            self._arrive()

    async def _granted(self, here: Place, better: Place) -> Place:
        if better.name == here.name:
            await self._places.start_at(better)
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

    def _rest(self) -> None:
        def end() -> None:
            self._rests = False
            self.prepare()

        self._rests = True
        self._chores.later(REST_S, end)
