"""A session's link to the worker that speaks for it: chosen, started, changed between turns, and found again."""

import dataclasses
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from actors.sessions.chores import Chores
from actors.sessions.ports import Router
from actors.sessions.seeker import Seeker
from actors.sessions.wishes import Wanted
from protocol.conversation import CommandRefused
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.ids import ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus
from protocol.speaking import (
    EndSpeaking,
    Pause,
    Resume,
    SpeakingReady,
    SpeakingRefused,
    StartSpeaking,
    Stop,
    TextChunk,
)
from protocol.subjects import tts_command
from protocol.workers import Announcement, WorkerRefused

START_TIMEOUT_S: Final = 15.0
"""A model that is not resident has to be loaded first."""
FIND_TIMEOUT_S: Final = 5.0
"""In the middle of a reply another voice is better than a long silence."""
CHECK_TIMEOUT_S: Final = 2.0
"""A worker that is gone is noticed at once; this is for one that hangs."""
MAX_WAITING: Final = 2_000
"""Pieces of text that wait for a worker: more than any bounded reply has."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Place:
    worker: WorkerName
    started_at: UnixMicros
    model: ModelId


class Voice:
    """On the loop. Text that is said while no worker is ready waits for one; everything else is dropped then.

    Args:
        on_lost: the worker is gone, or has forgotten us.
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
        on_lost: Callable[[], None],
        on_returned: Callable[[], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._wanted = wanted
        self._bus = bus
        self._router = router
        self._chores = chores
        self._on_lost = on_lost
        self._on_returned = on_returned
        self._on_refused = on_refused
        self._place: _Place | None = None
        self._ready = False
        self._lost = False
        self._seeker = Seeker(chores, self._find)
        self._waiting: deque[TextChunk] = deque(maxlen=MAX_WAITING)
        self._asked_for = False
        self.change_due = False
        """Another voice or worker is wanted as soon as nothing is being spoken."""

    @property
    def model(self) -> str:
        """Its name; empty without one."""
        return self._place.model if self._place is not None else ""

    @property
    def worker(self) -> WorkerName | None:
        """Who speaks."""
        return self._place.worker if self._place is not None else None

    # --- finding one ------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Have a worker hold the voice ready.

        Raises:
            Refused: by the router, or by the worker.
        """
        place = self._choose(self._wanted)
        await self._start_at(place)
        self._settle(place)

    def want(self, wanted: Wanted) -> None:
        """Speak with this from the next turn on.

        Raises:
            Refused: nobody can.
        """
        self._choose(wanted)
        self._wanted = wanted
        self._asked_for = self.change_due = True

    def change(self) -> None:
        """Nothing is being spoken: do what `want` asked for. Text that comes meanwhile waits."""
        self.change_due = False
        if not self._lost:  # else whoever looks for a worker looks for the right one
            self._ready = False
            self._chores.start(self._change())

    async def _change(self) -> None:
        before = self._place
        asked_for, self._asked_for = self._asked_for, False
        try:
            place = self._choose(self._wanted)
            await self._start_at(place)
        except Refused as refused:
            if asked_for:
                self._on_refused(refused.code, refused.reason)
            if before is None or self._lost:
                self._seeker.seek()
                return
            self._settle(before)
            return
        if before is not None and before.worker != place.worker:
            self._bus.publish(tts_command(self._session, before.worker), EndSpeaking(session=self._session))
        self._settle(place)

    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """A worker came, went, or says something new of itself."""
        if self._place is None or name != self._place.worker:
            if announcement is not None and announcement.kind == "tts":
                self._on_another(announcement)
            return
        if announcement is None or announcement.started_at != self._place.started_at:
            self.recover()
        elif announcement.state == "draining":
            self.change_due = self.change_due or self._is_elsewhere()

    def _on_another(self, announcement: Announcement) -> None:
        """Somebody who may speak for us when nobody does, or has the voice that we had to do without."""
        if self._lost:
            self._seeker.seek()
        elif self._wanted.voice in announcement.models and self._wanted.voice != self.model:
            self.change_due = announcement.state == "ready"

    def _is_elsewhere(self) -> bool:
        """Whether another worker has the voice."""
        try:
            return self._choose(self._wanted).worker != self.worker
        except Refused:
            return False

    def recover(self) -> None:
        """The worker no longer speaks for us: find one that does."""
        if not self._lost:
            self._lost = True
            self._ready = False
            log.warning("voice lost", session=self._session, worker=self.worker)
            self._on_lost()
        self._seeker.seek()

    def check(self) -> None:
        """It says nothing though it should: see whether it lives."""
        if self._ready and self._bus.is_connected and self._place is not None:
            self._chores.start(self._check(self._place))

    async def _check(self, place: _Place) -> None:
        try:
            await self._start_at(place, timeout_s=CHECK_TIMEOUT_S)
        except Refused:
            if self._ready and self._place == place and self._bus.is_connected:
                self.recover()

    async def _find(self) -> None:
        """In the wanted voice if anybody who answers has it, else in any."""
        place = await self._start_anywhere()
        was_lost, self._lost = self._lost, False
        self._place = place
        if was_lost:
            log.info("voice returned", session=self._session, worker=place.worker)
            self._on_returned()  # a turn that was cut off is said anew and its old text dropped, before text leaves
        self._settle(place)

    async def _start_anywhere(self) -> _Place:
        refused = Refused("no-voice", "No worker speaks.")
        tried: set[WorkerName] = set()
        for voice in dict.fromkeys((self._wanted.voice, *self._router.voices())):
            try:
                place = self._choose(dataclasses.replace(self._wanted, voice=voice))
                if place.worker in tried:
                    continue
                tried.add(place.worker)
                await self._start_at(place, timeout_s=FIND_TIMEOUT_S)
            except Refused as error:
                refused = error
            else:
                return place
        raise refused

    def _choose(self, wanted: Wanted) -> _Place:
        placement = self._router.choose_tts(voice=wanted.voice, language=wanted.language)
        return _Place(placement.worker.name, placement.worker.started_at, placement.model)

    async def _start_at(self, place: _Place, *, timeout_s: float = START_TIMEOUT_S) -> None:
        command = StartSpeaking(
            session=self._session, model=place.model, language=self._wanted.language, speed=self._wanted.speed
        )
        try:
            answer = await self._bus.request(
                tts_command(self._session, place.worker, command.type), command, timeout_s=timeout_s
            )
        except (BusUnavailable, MalformedMessage) as error:
            raise Refused("voice-unreachable", f"The worker {place.worker} does not answer as it should.") from error
        if isinstance(
            answer, SpeakingRefused | CommandRefused | WorkerRefused
        ):  # the same JSON: who decodes can't tell
            raise Refused(answer.code, answer.reason)
        if not isinstance(answer, SpeakingReady):
            raise Refused("voice-confused", f"The worker {place.worker} gives an answer that is none.")

    def _settle(self, place: _Place) -> None:
        self._place = place
        self._ready = True
        while self._waiting:
            self._send(self._waiting.popleft())

    # --- using it ---------------------------------------------------------------------------------------------------
    def say(self, chunk: TextChunk) -> None:
        """The next piece of a turn."""
        if self._ready:
            self._send(chunk)
        else:
            self._waiting.append(chunk)

    def pause(self, turn: TurnId) -> None:
        """Hold the place."""
        self._send(Pause(session=self._session, turn=turn))

    def resume(self, turn: TurnId, from_sample: Samples) -> None:
        """Go on there."""
        self._send(Resume(session=self._session, turn=turn, from_sample=from_sample))

    def stop(self, turn: TurnId) -> None:
        """Drop the turn and all before it."""
        while self._waiting and self._waiting[0].turn <= turn:
            self._waiting.popleft()
        self._send(Stop(session=self._session, turn=turn))

    def end(self) -> None:
        """The session closes."""
        self._send(EndSpeaking(session=self._session))
        self._ready = False
        self._waiting.clear()

    def _send(self, message: Message) -> None:
        if self._place is not None:
            self._bus.publish(tts_command(self._session, self._place.worker), message)
