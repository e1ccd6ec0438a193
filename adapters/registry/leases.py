"""Who was heard of lately. Pure: `now` comes in."""

from collections.abc import Sequence

from protocol.ids import WorkerName
from protocol.workers import Announcement


class Leases:
    """The last word of each worker, and until when it counts.

    A server that is down expires nothing and delivers nothing; so each entry also ends by our own clock, and
    `renew_all` gives everybody time to speak again after an outage.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._entries: dict[WorkerName, tuple[Announcement, float]] = {}

    def put(self, announcement: Announcement, now: float) -> bool:
        """Heard now; whether it says something new."""
        known = self._entries.get(announcement.name)
        self._entries[announcement.name] = (announcement, now)
        return known is None or known[0] != announcement

    def remove(self, name: WorkerName) -> bool:
        """It said goodbye; whether it was known."""
        return self._entries.pop(name, None) is not None

    def silent_for_s(self, name: WorkerName, now: float) -> float:
        """Since it was heard of; infinite if it is unknown."""
        entry = self._entries.get(name)
        return float("inf") if entry is None else now - entry[1]

    def expire(self, now: float) -> list[WorkerName]:
        """Those whose lease ran out: they are gone."""
        gone = [name for name, (_, heard) in self._entries.items() if now - heard > self._lease_s]
        for name in gone:
            del self._entries[name]
        return gone

    def renew_all(self, now: float) -> None:
        """Count everybody as heard now."""
        self._entries = {name: (said, now) for name, (said, _) in self._entries.items()}

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive."""
        return tuple(said for said, _ in self._entries.values())
