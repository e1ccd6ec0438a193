"""Voices that share a base: what the model manager counts is what the process takes, whoever comes and goes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations

import pytest
from prometheus_client import REGISTRY

from actors.voices import Voice
from protocol.errors import Refused
from protocol.ids import ModelId
from tests.actors.models_shelf import Shelf, a_shelf
from tests.fakes.shared_base import FakeBase

BASE, ADA, BEN = (ModelId(f"fake-{name}") for name in ("base", "ada", "ben"))
OWN = {BASE: 0.0, ADA: 50.0, BEN: 60.0}
BASE_MB = 700.0


@asynccontextmanager
async def a_family(*, estimated: float = 1.0, **limits: int | None) -> AsyncIterator[tuple[Shelf, FakeBase]]:
    """A base that is a voice itself, and two adapters of it; their packs say `estimated` times what is true."""
    voices: list[Voice] = []
    async with a_shelf(reread=lambda: voices, **{"resident_cap": 9, **limits}) as shelf:
        base = FakeBase(shelf.memory, BASE_MB)
        voices[:] = [a_voice(base, model, estimated) for model in OWN]
        await shelf.models.reload()
        yield shelf, base


def a_voice(base: FakeBase, model: ModelId, estimated: float) -> Voice:
    return Voice(
        model=model,
        languages=("en",),
        load=lambda: base.voice(model, OWN[model]),
        memory_mb=round(estimated * (BASE_MB if model == BASE else OWN[model])),
        base=None if model == BASE else BASE,
    )


def counted_mb() -> float:
    return (REGISTRY.get_sample_value("antiphon_tts_models_memory_bytes") or 0.0) / 2**20


@pytest.mark.parametrize("coming", list(permutations(OWN)), ids=" ".join)
async def test_in_whatever_order_they_come_and_go_the_base_is_loaded_once_and_counted_once(
    coming: tuple[ModelId, ...],
) -> None:
    async with a_family() as (shelf, base):
        empty = shelf.memory.process_mb
        for loads, going in enumerate(permutations(OWN), 1):
            for model in coming:
                await shelf.models.load(model)
                assert counted_mb() == shelf.memory.process_mb - empty
            assert base.loads == loads
            for model in going:
                await shelf.models.unload(model)
                assert counted_mb() == shelf.memory.process_mb - empty
            assert shelf.memory.process_mb == empty


async def test_what_was_measured_corrects_the_estimates_of_base_and_adapter() -> None:
    async with a_family(estimated=0.8) as (shelf, _):
        empty = shelf.memory.process_mb
        for model in (ADA, BEN, BASE):
            await shelf.models.load(model)
        assert [shelf.status(model).memory_mb for model in (BASE, ADA, BEN)] == [710, 40, 60]
        assert counted_mb() == shelf.memory.process_mb - empty
        await shelf.models.unload(ADA)
        await shelf.models.load(ADA)
        assert [shelf.status(model).memory_mb for model in (BASE, ADA, BEN)] == [700, 50, 60]
        assert counted_mb() == shelf.memory.process_mb - empty


async def test_an_adapter_is_listed_with_its_own_memory_and_the_base_with_what_it_shares_and_with_how_many() -> None:
    async with a_family() as (shelf, _):
        for model in (ADA, BEN):
            await shelf.models.load(model)
        base, ada, ben = (shelf.status(model) for model in (BASE, ADA, BEN))
        assert (base.state, base.base, base.shared_by, base.memory_mb) == ("known", None, 2, 700)
        assert (ada.state, ada.base, ada.shared_by, ada.memory_mb) == ("resident", BASE, 0, 50)
        in_memory = [status for status in (base, ada, ben) if status.state == "resident" or status.shared_by]
        assert sum(status.memory_mb for status in in_memory) == counted_mb()


async def test_beside_a_base_in_use_its_adapters_need_no_room_of_their_own_for_it() -> None:
    async with a_family(memory_cap_mb=760) as (shelf, base):
        lease = await shelf.acquire(ADA)
        await shelf.acquire(BASE)
        with pytest.raises(Refused, match="fake-ben needs 60 MB of memory_cap_mb 760, of which 750 MB are in use"):
            await shelf.acquire(BEN)
        lease.release()
        await shelf.acquire(BEN)
        assert shelf.resident() == (BASE, BEN)
        assert base.loads == 1, "the one that brought it has gone, and it is still here"


async def test_a_voice_that_dies_leaves_the_base_to_the_others() -> None:
    async with a_family() as (shelf, base):
        empty = shelf.memory.process_mb
        lease = await shelf.acquire(ADA)
        await shelf.acquire(BEN)
        lease.voice.tell("nonsense")  # type: ignore[arg-type]  # what no message can be: the actor ends by an error
        await shelf.until(lambda: bool(shelf.deaths))
        assert shelf.resident() == (BEN,)
        assert counted_mb() == shelf.memory.process_mb - empty == BASE_MB + OWN[BEN]
        assert base.loads == 1
