"""What a session says to the worker that speaks for it; text waits while there is none."""

from collections import deque
from typing import Final

from actors.sessions.place import Place
from actors.sessions.places import Places
from protocol.ids import SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus
from protocol.speaking import TextChunk
from protocol.subjects import tts_command
from protocol.workers import Announcement

MAX_WAITING: Final = 2_000
"""Pieces of text that wait for a worker: more than any bounded reply has."""


class Line:
    """On the loop. Knows which worker has the session's voice, and which ones may believe that they still have it.

    Attributes:
        place: who speaks; None before the first.
        ready: whether it takes what is said.
        text_waits: whether text is kept back, because another place is about to be taken.
    """

    def __init__(self, *, session: SessionId, bus: Bus, places: Places) -> None:
        self._session = session
        self._bus = bus
        self._places = places
        self.place: Place | None = None
        self.ready = False
        self.text_waits = False
        self._waiting: deque[TextChunk] = deque(maxlen=MAX_WAITING)
        self._left: dict[WorkerName, UnixMicros] = {}

    @property
    def worker(self) -> WorkerName | None:
        """Who speaks."""
        return self.place.name if self.place is not None else None

    @property
    def takes_text(self) -> bool:
        """Whether what is said goes to the worker at once."""
        return self.ready and not self.text_waits

    def use(self, place: Place) -> None:
        """This one speaks from now on. Who spoke before is told, and told again should it be heard of once more."""
        before, self.place = self.place, place
        self._left.pop(place.name, None)
        if before is not None and before.name != place.name:
            self._places.leave(before.name)
            self._left[before.name] = before.started_at

    def heard_of(self, announcement: Announcement) -> None:
        """A worker that hung when we left it may still hold our place."""
        if self._left.pop(announcement.name, None) == announcement.started_at:
            self._places.leave(announcement.name)

    def go_on(self) -> None:
        """The worker is ready: what waited is said now."""
        self.ready, self.text_waits = True, False
        while self._waiting:
            self.send(self._waiting.popleft())

    def say(self, chunk: TextChunk) -> None:
        """Text."""
        if self.takes_text:
            self.send(chunk)
        else:
            self._waiting.append(chunk)

    def drop(self, turn: TurnId) -> None:
        """What waits of this turn or before is not said."""
        while self._waiting and self._waiting[0].turn <= turn:
            self._waiting.popleft()

    def send(self, message: Message) -> None:
        """Now; nobody hears it when there is nobody."""
        if self.place is not None:
            self._bus.publish(tts_command(self._session, self.place.name), message)

    def end(self) -> None:
        """The session closes."""
        if self.place is not None:
            self._places.leave(self.place.name)
        self.ready = False
        self._waiting.clear()
