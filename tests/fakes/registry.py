"""Who works here, in memory."""

from collections.abc import Callable, Sequence

from protocol.ids import WorkerName
from protocol.workers import Announcement

OnChange = Callable[[WorkerName, Announcement | None], None]


class FakeRegistry:
    """Announcements are seen at once by everybody who watches."""

    def __init__(self, *announced: Announcement) -> None:
        self._workers: dict[WorkerName, Announcement] = {a.name: a for a in announced}
        self._own: set[WorkerName] = set()
        self._watchers: list[OnChange] = []

    async def announce(self, announcement: Announcement) -> None:
        self._own.add(announcement.name)
        self._workers[announcement.name] = announcement
        self._tell(announcement.name, announcement)

    async def withdraw(self, name: WorkerName) -> None:
        self._own.discard(name)
        if self._workers.pop(name, None) is not None:
            self._tell(name, None)

    async def watch(self, on_change: OnChange) -> None:
        self._watchers.append(on_change)
        for name, announcement in self._workers.items():
            on_change(name, announcement)

    def snapshot(self) -> Sequence[Announcement]:
        return tuple(self._workers.values())

    async def close(self) -> None:
        for name in tuple(self._own):
            await self.withdraw(name)
        self._watchers.clear()

    def _tell(self, name: WorkerName, announcement: Announcement | None) -> None:
        for watcher in tuple(self._watchers):
            watcher(name, announcement)
