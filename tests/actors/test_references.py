"""Recordings as a gateway holds them: how long, for whom, and what is left."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from actors.references import UNUSED_S, References
from protocol.errors import Refused
from protocol.ids import SessionId
from protocol.ports import Reference
from tests.fakes.references import FakeReferenceStore

ONE, TWO = SessionId("s-one"), SessionId("s-two")
RECORDING = Reference(pcm=np.zeros(48_000, np.float32), sample_rate=24_000, text="Said.")


class Later:
    """Calls when told to."""

    def __init__(self) -> None:
        self.due: dict[int, tuple[float, Callable[[], None]]] = {}

    def __call__(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        number = len(self.due)
        self.due[number] = (delay_s, call)
        return lambda: self.due.pop(number, None) and None

    def fire(self) -> None:
        for number in list(self.due):
            self.due.pop(number)[1]()


@pytest.fixture
def store() -> FakeReferenceStore:
    return FakeReferenceStore()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def references(store: FakeReferenceStore, later: Later) -> References:
    return References(store, call_later=later)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_that_nobody_names_is_removed_after_ten_minutes(
    references: References, store: FakeReferenceStore, later: Later
) -> None:
    name = await references.add(RECORDING, keep=False)
    assert [delay for delay, _ in later.due.values()] == [UNUSED_S] == [600.0]
    later.fire()
    await settle()
    assert name not in store


async def test_one_that_a_session_names_lives_and_ends_with_it(
    references: References, store: FakeReferenceStore, later: Later
) -> None:
    name = await references.add(RECORDING, keep=False)
    await references.use(ONE, name)
    later.fire()
    await settle()
    assert name in store
    references.forget(ONE)
    await settle()
    assert name not in store


async def test_one_that_another_gateways_session_names_is_not_removed_as_unused(
    references: References, store: FakeReferenceStore, later: Later
) -> None:
    name = await references.add(RECORDING, keep=False)
    other = References(store, call_later=Later())
    await other.use(ONE, name)
    later.fire()
    await settle()
    assert name in store
    other.forget(ONE)
    await settle()
    assert name not in store


async def test_a_recording_of_another_session_cannot_be_named(references: References) -> None:
    name = await references.add(RECORDING, keep=False)
    await references.use(ONE, name)
    with pytest.raises(Refused, match="no-such-reference"):
        await references.use(TWO, name)


async def test_a_session_that_never_began_leaves_its_recording_to_the_next(
    references: References, store: FakeReferenceStore, later: Later
) -> None:
    name = await references.add(RECORDING, keep=False)
    await references.use(ONE, name)
    references.give_back(ONE)
    await settle()
    await references.use(TWO, name)
    references.give_back(TWO)
    await settle()
    later.fire()
    await settle()
    assert name not in store


async def test_what_is_kept_outlives_its_session_where_that_is_allowed(
    references: References, store: FakeReferenceStore, later: Later
) -> None:
    with pytest.raises(Refused, match="keeping-off"):
        await references.add(RECORDING, keep=True)
    generous = References(store, call_later=later, may_keep=True)
    name = await generous.add(RECORDING, keep=True)
    assert not later.due
    await generous.use(ONE, name)
    await generous.use(TWO, name)
    generous.forget(ONE)
    await settle()
    assert name in store
    assert await generous.remove(name)
    assert name not in store


async def test_removing_what_is_not_there_says_so(references: References) -> None:
    assert not await references.remove("nobody")


async def test_a_store_that_cannot_be_reached_is_told_and_harms_no_session(
    references: References, store: FakeReferenceStore
) -> None:
    name = await references.add(RECORDING, keep=False)
    await references.use(ONE, name)
    store.reachable = False
    with pytest.raises(Refused, match="not-ready"):
        await references.add(RECORDING, keep=False)
    references.use_soon(TWO, name)
    references.forget(ONE)
    await settle()


async def test_a_gateway_that_ends_leaves_nothing_behind(references: References, store: FakeReferenceStore) -> None:
    unused = await references.add(RECORDING, keep=False)
    used = await references.add(RECORDING, keep=False)
    await references.use(ONE, used)
    await references.close()
    assert unused not in store
    assert used not in store
