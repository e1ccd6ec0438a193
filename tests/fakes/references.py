"""A store of recordings in memory, held to the same contract as the real one."""

from itertools import count

from protocol.errors import BusUnavailable, Refused
from protocol.ids import SessionId
from protocol.ports import Reference
from protocol.speaking import ReferenceId


class FakeReferenceStore:
    """Attributes: `fetched` names what was got, in order; `reachable` can be taken away; `room` is for so many more."""

    def __init__(self) -> None:
        self.fetched: list[ReferenceId] = []
        self.reachable = True
        self.room = 100
        self._held: dict[ReferenceId, Reference] = {}
        self._claims: dict[ReferenceId, SessionId] = {}
        self._numbers = count(1)

    async def put(self, reference: Reference, *, kept: bool = False) -> ReferenceId:
        self._check()
        if self.room <= len(self._held):
            raise Refused("references-full", "full")
        name = f"{'kept-' if kept else ''}ref-{next(self._numbers)}"
        self._held[name] = reference
        return name

    async def get(self, name: ReferenceId) -> Reference:
        self._check(name)
        self.fetched.append(name)
        return self._held[name]

    async def claim(self, name: ReferenceId, session: SessionId) -> None:
        self._check(name)
        if name.startswith("kept-"):
            return
        if self._claims.setdefault(name, session) != session:
            raise Refused("no-such-reference", "another session's")

    async def release(self, name: ReferenceId, session: SessionId) -> None:
        self._check()
        if self._claims.get(name) == session:
            del self._claims[name]

    async def delete(self, name: ReferenceId, *, if_unclaimed: bool = False) -> bool:
        self._check()
        if name not in self._held or (if_unclaimed and name in self._claims):
            return False
        del self._held[name]
        self._claims.pop(name, None)
        return True

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def _check(self, name: ReferenceId | None = None) -> None:
        if not self.reachable:
            raise BusUnavailable("the store is out of reach")
        if name is not None and name not in self._held:
            raise Refused("no-such-reference", "there is none")
