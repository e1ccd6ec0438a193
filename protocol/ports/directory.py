"""Which sessions there are, of all gateways."""

from collections.abc import Sequence
from typing import Protocol

from protocol.directory import SessionEntry
from protocol.ids import SessionId


class SessionDirectory(Protocol):
    """Told by gateways, read by operators. On the loop.

    Telling never waits and never fails: what cannot be written now is written later, and counted.
    """

    def write(self, entry: SessionEntry) -> None:
        """Say this of a session, soon, and that it lives, until it is removed. Of several, the newest is said."""

    def remove(self, session: SessionId) -> None:
        """It is over. Harmless for one that was never written."""

    async def entries(self) -> Sequence[SessionEntry]:
        """All open sessions, the oldest first.

        Raises:
            BusUnavailable: they cannot be read.
        """

    async def close(self) -> None:
        """Remove what was written here, and write nothing more."""
