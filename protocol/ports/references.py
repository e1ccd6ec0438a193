"""Recordings of voices: where they are, and who brings them."""

from typing import Protocol

from protocol.ids import SessionId
from protocol.ports.speaking import Reference
from protocol.speaking import ReferenceId


class ReferenceStore(Protocol):
    """Where recordings are, for gateways and workers of all hosts. On the loop.

    All of it raises `BusUnavailable` when the store cannot be reached.
    """

    async def put(self, reference: Reference, *, kept: bool = False) -> ReferenceId:
        """Store it under a name that cannot be guessed; one that is not `kept` is gone after a day at the latest.

        Raises:
            Refused: `references-full`.
        """

    async def get(self, name: ReferenceId) -> Reference:
        """The recording.

        Raises:
            Refused: `no-such-reference`.
        """

    async def claim(self, name: ReferenceId, session: SessionId) -> None:
        """It belongs to this session from now on, and to no other; a kept one belongs to all.

        Raises:
            Refused: `no-such-reference`: there is none, or it is another session's.
        """

    async def release(self, name: ReferenceId, session: SessionId) -> None:
        """If it is this session's, it belongs to nobody again; harmless otherwise."""

    async def delete(self, name: ReferenceId, *, if_unclaimed: bool = False) -> bool:
        """Remove it, at once; False when it is not there, or claimed and that matters."""


class ReferenceDesk(Protocol):
    """The gateway, as those see it who bring recordings. On the loop."""

    @property
    def may_keep(self) -> bool:
        """Whether recordings may outlive their session."""

    async def add(self, reference: Reference, *, keep: bool) -> ReferenceId:
        """Take one in; it is removed when nobody names it for a while.

        Raises:
            Refused: `references-full`, or `not-ready` when it cannot be stored now.
        """

    async def remove(self, name: ReferenceId) -> bool:
        """Remove one; False when it is not there.

        Raises:
            Refused: `not-ready`.
        """
