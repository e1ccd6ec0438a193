"""A session's voice: the worker that speaks for it, watched, changed between turns, and replaced when it dies."""

import dataclasses
from collections.abc import Callable
from typing import Final

import structlog

from actors.sessions.chores import Chores
from actors.sessions.line import Line
from actors.sessions.move import Move
from actors.sessions.place import Place
from actors.sessions.places import Places
from actors.sessions.ports import Cancel, Router
from actors.sessions.seeker import Seeker
from actors.sessions.wishes import Wanted
from protocol.errors import BusUnavailable, MalformedMessage, NobodyListens
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.ports import Bus
from protocol.speaking import Pause, Resume, Stop, TextChunk
from protocol.subjects import worker
from protocol.workers import Announcement, GetCapabilities, WorkerDescribed

ANSWER_S: Final = 0.1
QUESTIONS: Final = 5
"""A worker that hangs is asked so often. Of one that is gone NATS says so at once, but a process that was killed takes
up to some 0.2 s to let go of its connection, while it gives its memory back."""
ABSENCE_S: Final = 5.0
"""Between turns a silent worker may come back; `antiphon up` starts a dead one again in 2 to 3 s."""

log = structlog.get_logger()


class Voice:
    """On the loop. Text that is said while no worker is ready waits for one; everything else is dropped then.

    Args:
        is_between_turns: nothing is being spoken or prepared.
        is_needed: the worker still has to send some of what is being spoken or prepared.
        on_lost: the worker is gone, or has forgotten us, though it is needed.
        on_returned: there is one again, perhaps another.
        on_refused: a change of voice was not granted (code, reason); the old one stays.
    """

    def __init__(
        self,
        *,
        session: SessionId,
        wanted: Wanted,
        bus: Bus,
        router: Router,
        chores: Chores,
        is_between_turns: Callable[[], bool],
        is_needed: Callable[[], bool],
        on_lost: Callable[[], None],
        on_returned: Callable[[], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._bus = bus
        self._chores = chores
        self._is_needed = is_needed
        self._on_lost = on_lost
        self._on_returned = on_returned
        self._places = Places(session=session, bus=bus, router=router)
        self._line = Line(session=session, bus=bus, places=self._places)
        self._move = Move(
            wanted=wanted,
            places=self._places,
            line=self._line,
            chores=chores,
            is_between_turns=is_between_turns,
            on_refused=on_refused,
        )
        self._seeker = Seeker(chores, self._find)
        self._own: str | None = None
        """What a session that names no voice has got, and keeps."""
        self._lost = False
        self._checking = False
        self._absence: Cancel | None = None
        self._doubted: set[WorkerName] = set()
        self._turn = TurnId(0)

    @property
    def model(self) -> str:
        """Its name; empty without one."""
        return self._line.place.model if self._line.place is not None else ""

    @property
    def worker(self) -> WorkerName | None:
        """Who speaks: nobody else's frames and events count."""
        return self._line.worker

    # --- the one that is wanted -------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Have a worker hold the voice ready.

        Raises:
            Refused: by the router, or by all workers that could.
        """
        await self._seeker.first(self._begin())

    async def _begin(self) -> None:
        place = await self._places.take(self._move.wanted)
        self._own = self._move.wanted.voice or place.instead_of or place.model
        self._move.wanted = dataclasses.replace(self._move.wanted, voice=self._own)
        self._line.use(place)
        self._line.go_on()

    def want(self, wanted: Wanted) -> None:
        """Speak with this from the next turn on.

        Raises:
            Refused: nobody can, or nobody has it in memory and it is not to be waited for.
        """
        self._move.want(dataclasses.replace(wanted, voice=wanted.voice or self._own))

    def between_turns(self) -> None:
        """One turn is over, the next has not begun."""
        self._move.at_boundary()

    # --- workers come and go ----------------------------------------------------------------------------------------
    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """A worker came, went, or says something new of itself."""
        here = self._line.place
        self._move.heard_of(name, announcement)
        if here is not None and name == here.name:
            self._on_own(here, announcement)
        elif announcement is not None and announcement.kind == "tts":
            self._line.heard_of(announcement)
            if not self._line.ready and self._absence is None:
                self._seeker.seek()
            elif here is not None and here.model != self._move.wanted.voice:
                self._move.prepare()

    def _on_own(self, here: Place, announcement: Announcement | None) -> None:
        if announcement is not None and here.is_as(announcement):
            self._line.place = dataclasses.replace(here, worker=announcement)
            if self._forget_absence():
                self._line.go_on()
            self._move.prepare()
        elif announcement is not None or self._is_needed():
            self.recover(doubted=announcement is None)
        elif self._line.ready:
            self._line.ready = False
            self._absence = self._chores.later(ABSENCE_S, self._replace)

    def _replace(self) -> None:
        """It did not come back, or is needed now; nothing was lost with it."""
        self._forget_absence()
        self._seeker.seek()

    def _forget_absence(self) -> bool:
        call_off, self._absence = self._absence, None
        if call_off is not None:
            call_off()
        return call_off is not None

    def recover(self, *, doubted: bool = False) -> None:
        """The worker no longer speaks for us: find one that does. One that is `doubted` is asked last."""
        self._forget_absence()
        self._line.ready = False
        if doubted and self.worker is not None:
            self._doubted.add(self.worker)
        if not self._lost and self._is_needed():
            self._lost = True
            log.warning("voice lost", session=self._session, worker=self.worker)
            self._on_lost()
        self._seeker.seek()

    def check(self) -> None:
        """It says nothing though it should: see whether it lives."""
        if self._line.ready and self._line.place is not None and self._bus.is_connected and not self._checking:
            self._checking = True
            self._chores.start(self._check(self._line.place))

    async def _check(self, here: Place) -> None:
        try:
            lives = await self._lives(here)
        finally:
            self._checking = False
        if not lives and self._line.ready and self.worker == here.name:
            self.recover(doubted=True)

    async def _lives(self, here: Place) -> bool:
        for _ in range(QUESTIONS):
            try:
                answer = await self._bus.request(worker(here.name), GetCapabilities(), timeout_s=ANSWER_S)
            except NobodyListens:
                return False
            except (BusUnavailable, MalformedMessage):
                continue
            return isinstance(answer, WorkerDescribed) and here.is_as(answer.worker)
        return not self._bus.is_connected

    async def _find(self) -> None:
        """In the wanted voice if anybody who answers has it, else in any."""
        place = self._move.take_next() or await self._places.take_any(self._move.wanted, doubted=self._doubted)
        self._doubted.clear()
        self._line.use(place)
        was_lost, self._lost = self._lost, False
        if was_lost:
            log.info("voice returned", session=self._session, worker=place.name, model=place.model)
            self._on_returned()  # a turn that was cut off is said anew and its old text dropped, before text leaves
        self._line.go_on()
        self._move.prepare()

    # --- using it ---------------------------------------------------------------------------------------------------
    def say(self, chunk: TextChunk) -> None:
        """The next piece of a turn."""
        if chunk.turn > self._turn:
            self._turn = chunk.turn
            if self._absence is not None:
                self._replace()
            else:
                self._move.turn_begins()
        self._line.say(chunk)

    def pause(self, turn: TurnId) -> None:
        """Hold the place."""
        self._line.send(Pause(session=self._session, turn=turn))

    def resume(self, turn: TurnId, from_sample: Samples) -> None:
        """Go on there. A worker that has not got the text, because it waits, has nothing to go on with."""
        if self._line.takes_text:
            self._line.send(Resume(session=self._session, turn=turn, from_sample=from_sample))

    def stop(self, turn: TurnId) -> None:
        """Drop the turn and all before it."""
        self._line.drop(turn)
        self._line.send(Stop(session=self._session, turn=turn))

    def end(self) -> None:
        """The session closes."""
        self._line.end()
        self._move.end()
