"""What is to be written of which session, and when. Pure: `now` comes in, in seconds."""

from collections.abc import Iterable
from typing import Final

from protocol.directory import SessionEntry
from protocol.ids import SessionId

Due = tuple[SessionId, SessionEntry | None]
"""A session and its entry; None: it is over."""
MAX_GONE: Final = 4_096
"""Sessions that ended while nothing could be written. What is forgotten expires by itself."""


class Backlog:
    """Keeps the newest entry of each session: written at once, then not within `pause_s`, and again after `renew_s`."""

    def __init__(self, *, pause_s: float, renew_s: float) -> None:
        self._pause_s = pause_s
        self._renew_s = renew_s
        self._entries: dict[SessionId, SessionEntry] = {}
        self._not_before: dict[SessionId, float] = {}
        self._due: dict[SessionId, float] = {}
        self._gone: dict[SessionId, None] = {}

    def put(self, entry: SessionEntry, now: float) -> None:
        """In place of what waits of that session."""
        session = entry.session
        self._entries[session] = entry
        self._due[session] = min(self._not_before.get(session, now), self._due.get(session, now + self._renew_s))

    def remove(self, session: SessionId) -> None:
        """It is over: nothing that waits of it is written."""
        if self._entries.pop(session, None) is None:
            return
        del self._due[session]
        self._not_before.pop(session, None)
        self._gone[session] = None
        while len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def remove_all(self) -> None:
        """All are over."""
        for session in tuple(self._entries):
            self.remove(session)

    def take(self, now: float) -> list[Due]:
        """What is to be written now, those that are over first."""
        gone: list[Due] = [(session, None) for session in self._gone]
        self._gone.clear()
        ready = [session for session, due in self._due.items() if due <= now]
        for session in ready:
            self._not_before[session] = now + self._pause_s
            self._due[session] = now + self._renew_s
        return gone + [(session, self._entries[session]) for session in ready]

    def give_back(self, unwritten: Iterable[Due], now: float) -> None:
        """Could not be written: due again, as what is newest by then."""
        for session, entry in unwritten:
            if session in self._entries:
                self._due[session] = now
            elif entry is None:
                self._gone[session] = None

    def put_all_again(self, now: float) -> None:
        """Nobody knows what is left of what was written."""
        for session in self._due:
            self._due[session] = now

    def next_due(self) -> float | None:
        """When there is something to write; None: not before something is put or removed."""
        return float("-inf") if self._gone else min(self._due.values(), default=None)
