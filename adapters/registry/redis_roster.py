"""Who stands in Redis, as it was last read: bytes and `now` come in, changes come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from adapters.registry import metrics
from adapters.registry.leases import Leases
from adapters.registry.redis_document import announcement_of
from adapters.registry.redis_place import Key
from protocol.errors import MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement

_LOG = structlog.get_logger(__name__)

MAX_ENTRIES: Final = 4_096

Change = tuple[WorkerName, Announcement | None]


@dataclass(slots=True)
class _Entry:
    """What was read under a key.

    Attributes:
        announcement: None if the document is malformed.
        outage: how many outages there had been when it was last read.
        owned: the name under which it counts.
        complaint: what was wrong with it, so that it is not said with every heartbeat.
    """

    data: bytes = b""
    announcement: Announcement | None = None
    outage: int = 0
    owned: WorkerName | None = None
    is_refused: bool = False
    complaint: str = ""


class Roster:
    """Documents by key, workers by the name under which they are reached.

    Two keys that stand for the same name would be two workers behind one subject: the first one counts as long as it
    is there, the other is refused with a reason, and gets its chance when the first has gone. A document that turns
    malformed is passed over: the last good one counts until its lease ends.
    """

    def __init__(self, lease_s: float, *, limit: int = MAX_ENTRIES) -> None:
        self._leases = Leases(lease_s)
        self._limit = limit
        self._entries: dict[Key, _Entry] = {}
        self._owners: dict[WorkerName, Key] = {}
        self._outages = 0
        self._is_full = False

    def keys(self) -> Sequence[Key]:
        """All that are known."""
        return tuple(self._entries)

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive."""
        return self._leases.snapshot()

    def read(self, key: Key, data: bytes, now: float) -> list[Change]:
        """This stands there."""
        entry = self._entries.get(key) or self._new(key)
        if entry is None:
            return []
        entry.outage = self._outages
        if entry.data != data:
            entry.data = data
            _decode(key, entry)
        said = entry.announcement
        if said is None:
            return []
        changes = self._disown(entry) if entry.owned not in (None, said.name) else []
        if self._own(key, entry, said.name) and self._leases.put(said, now):
            changes.append((said.name, said))
        return changes

    def missing(self, key: Key, *, certainly: bool = False) -> list[Change]:
        """Nothing stands there.

        A server that was away may have lost or expired it while nobody could renew it: unless its going was told
        (`certainly`), an entry that was not read since the last outage stays until its lease ends.
        """
        entry = self._entries.get(key)
        if entry is None or (entry.owned and entry.outage != self._outages and not certainly):
            return []
        del self._entries[key]
        return self._disown(entry)

    def out_of_reach(self, now: float) -> None:
        """Nobody can be heard: nobody's silence counts."""
        self._outages += 1
        self._leases.renew_all(now)

    def expire(self, now: float) -> list[Change]:
        """Those whose lease ran out: they are gone."""
        gone = self._leases.expire(now)
        for name in gone:
            key = self._owners.pop(name)
            self._entries[key].owned = None
            if self._entries[key].announcement is not None:
                del self._entries[key]
        return [(name, None) for name in gone]

    def _new(self, key: Key) -> _Entry | None:
        is_full = len(self._entries) >= self._limit
        if is_full:
            metrics.REFUSED.labels("too-many").inc()
            if not self._is_full:
                _LOG.warning("too many workers: more are passed over", limit=self._limit, worker=key.name[:64])
        self._is_full = is_full
        return None if is_full else self._entries.setdefault(key, _Entry())

    def _own(self, key: Key, entry: _Entry, name: WorkerName) -> bool:
        owner = self._owners.setdefault(name, key)
        if owner == key:
            entry.owned, entry.is_refused = name, False
        elif not entry.is_refused:
            entry.is_refused = True
            metrics.REFUSED.labels("collision").inc()
            _LOG.warning(
                "refused: another worker is reached by that name", worker=key.name[:64], name=name, by=owner.name
            )
        return owner == key

    def _disown(self, entry: _Entry) -> list[Change]:
        name, entry.owned = entry.owned, None
        if name is None:
            return []
        del self._owners[name]
        return [(name, None)] if self._leases.remove(name) else []


def _decode(key: Key, entry: _Entry) -> None:
    try:
        entry.announcement = announcement_of(key, entry.data)
        entry.complaint = ""
    except MalformedMessage as error:
        metrics.REFUSED.labels("malformed").inc()
        if entry.complaint != str(error):
            _LOG.warning("malformed announcement", worker=key.name[:64], reason=str(error))
        entry.announcement = None
        entry.complaint = str(error)
