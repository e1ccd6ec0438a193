"""Recordings of voices to imitate, as a gateway holds them: taken in, named by a session, gone with it. On the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from actors.peer_ports import CallLater, Cancel
from protocol.errors import BusUnavailable, Refused
from protocol.ids import SessionId
from protocol.ports import Reference, ReferenceStore
from protocol.speaking import ReferenceId

UNUSED_S: Final = 600.0
"""How long a recording that no session names is kept."""
_T = TypeVar("_T")

log = structlog.get_logger()


class References:
    """Implements `protocol.ports.ReferenceDesk`; `use` and `forget` follow the sessions of this gateway.

    Another gateway's session may name what was brought here: a claim in the store tells that it is in use.
    """

    def __init__(
        self, store: ReferenceStore, *, call_later: CallLater, may_keep: bool = False, unused_s: float = UNUSED_S
    ) -> None:
        self._store = store
        self._call_later = call_later
        self._may_keep = may_keep
        self._unused_s = unused_s
        self._expiries: dict[ReferenceId, Cancel] = {}
        self._used: dict[SessionId, set[ReferenceId]] = {}
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def may_keep(self) -> bool:
        """Whether recordings may outlive their session."""
        return self._may_keep

    async def add(self, reference: Reference, *, keep: bool) -> ReferenceId:
        """Take one in; it is removed when nobody names it for a while.

        Raises:
            Refused: `keeping-off`, `references-full`, or `not-ready` when it cannot be stored now.
        """
        if keep and not self._may_keep:
            raise Refused("keeping-off", "This gateway keeps no recording beyond its session.")
        name = await _asked(self._store.put(reference, kept=keep))
        self._begin_expiry(name)
        return name

    async def remove(self, name: ReferenceId) -> bool:
        """Remove one; False when it is not there. A session that names it speaks on with it until it ends.

        Raises:
            Refused: `not-ready`.
        """
        self._call_off(name)
        return await _asked(self._store.delete(name))

    async def use(self, session: SessionId, name: ReferenceId) -> None:
        """A session names it: it is that session's alone, and ends with it.

        Raises:
            Refused: `no-such-reference`, or `not-ready`.
        """
        await _asked(self._store.claim(name, session))
        self._call_off(name)
        self._used.setdefault(session, set()).add(name)

    def use_soon(self, session: SessionId, name: ReferenceId) -> None:
        """The same for one who cannot wait; whoever speaks with it hears if it is not there."""
        self._start(self._use_soon(session, name))

    async def _use_soon(self, session: SessionId, name: ReferenceId) -> None:
        try:
            await self.use(session, name)
        except Refused as refused:
            log.warning("a recording cannot be used", session=session, reference=name, code=refused.code)

    def forget(self, session: SessionId) -> None:
        """The session is over, and what it named goes with it, but for what is kept."""
        for name in self._used.pop(session, ()):
            if not _is_kept(name):
                self._start(self._delete(name, if_unclaimed=False))

    def give_back(self, session: SessionId) -> None:
        """The session never began: another one may name what it named."""
        for name in self._used.pop(session, ()):
            if not _is_kept(name):
                self._begin_expiry(name)
                self._start(self._release(name, session))

    async def _release(self, name: ReferenceId, session: SessionId) -> None:
        try:
            await self._store.release(name, session)
        except BusUnavailable as error:
            log.warning("a recording could not be given back", reference=name, reason=str(error))

    async def close(self) -> None:
        """Remove what would be left behind, as far as the store answers."""
        for session in tuple(self._used):
            self.forget(session)
        for name in tuple(self._expiries):
            self._expire(name)
        if self._chores:
            await asyncio.wait(self._chores, timeout=2.0)

    def _begin_expiry(self, name: ReferenceId) -> None:
        if not _is_kept(name):
            self._expiries[name] = self._call_later(self._unused_s, lambda: self._expire(name))

    def _expire(self, name: ReferenceId) -> None:
        self._call_off(name)
        self._start(self._delete(name, if_unclaimed=True))

    async def _delete(self, name: ReferenceId, *, if_unclaimed: bool) -> None:
        try:
            if await self._store.delete(name, if_unclaimed=if_unclaimed):
                log.info("a recording was removed", reference=name)
        except BusUnavailable as error:  # the store's own end of it comes within a day
            log.warning("a recording could not be removed", reference=name, reason=str(error))

    def _call_off(self, name: ReferenceId) -> None:
        call_off = self._expiries.pop(name, None)
        if call_off is not None:
            call_off()

    def _start(self, chore: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _is_kept(name: ReferenceId) -> bool:
    """The store's names tell."""
    return name.startswith("kept-")


async def _asked(answer: "Awaitable[_T]") -> _T:
    try:
        return await answer
    except BusUnavailable as error:
        raise Refused("not-ready", str(error)[:1000]) from error


WhenNamed = Callable[[SessionId, ReferenceId], None]
"""Called when a session's configuration names a recording."""
