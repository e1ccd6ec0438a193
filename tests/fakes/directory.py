"""Which sessions there are, in memory."""

from collections.abc import Sequence

from protocol.codec import decode_session, encode_session
from protocol.directory import SessionEntry
from protocol.ids import SessionId


class FakeDirectory:
    """Entries are seen at once by all who share `store`; they go through the codec, as in a bucket.

    Attributes:
        written: all entries, in order.
        fault: raised by `write` and `remove`, which the port forbids: nobody who tells may be hurt by it.
    """

    def __init__(self, store: dict[SessionId, bytes] | None = None) -> None:
        self._store = {} if store is None else store
        self._own: set[SessionId] = set()
        self.written: list[SessionEntry] = []
        self.removed: list[SessionId] = []
        self.fault: Exception | None = None

    def write(self, entry: SessionEntry) -> None:
        if self.fault is not None:
            raise self.fault
        self.written.append(entry)
        self._own.add(entry.session)
        self._store[entry.session] = encode_session(entry)

    def remove(self, session: SessionId) -> None:
        if self.fault is not None:
            raise self.fault
        if session in self._own:
            self._own.discard(session)
            self.removed.append(session)
            self._store.pop(session, None)

    async def entries(self) -> Sequence[SessionEntry]:
        found = [decode_session(data) for data in self._store.values()]
        return sorted(found, key=lambda entry: (entry.opened_at, entry.session))

    async def close(self) -> None:
        for session in tuple(self._own):
            self.remove(session)
