"""The model manager: one load for all who ask, refusals with reasons, memory back when nobody uses it."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from actors.voices import Voice
from protocol.errors import ModelUnavailable, Refused, SettingsInvalid
from protocol.ids import ModelId
from tests.actors.models_shelf import ONE, S1, S2, THREE, TWO, Shelf, a_shelf, missing


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"antiphon_tts_{name}", labels) or 0.0


async def refusal(shelf: Shelf, model: ModelId) -> Refused:
    with pytest.raises(Refused) as refused:
        await shelf.acquire(model)
    return refused.value


async def test_two_who_ask_at_the_same_time_wait_for_one_loading() -> None:
    async with a_shelf() as shelf:
        first, second = await asyncio.gather(shelf.acquire(ONE, S1), shelf.acquire(ONE, S2))
        assert first.voice is second.voice
        assert shelf.loads == [ONE]
        assert first.voice.sample_rate == 24_000
        assert shelf.resident() == (ONE,)
        assert shelf.status(ONE).users == 2


async def test_only_so_many_load_at_the_same_time_and_the_others_wait_in_order() -> None:
    async with a_shelf(max_parallel_loads=1) as shelf:
        shelf.gate.clear()
        asking = [asyncio.ensure_future(shelf.acquire(model)) for model in (TWO, ONE, THREE)]
        await asyncio.sleep(0)
        assert [shelf.status(model).state for model in (ONE, TWO, THREE)] == ["loading"] * 3
        shelf.gate.set()
        await asyncio.gather(*asking)
        assert shelf.loads == [TWO, ONE, THREE]


async def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    async with a_shelf() as shelf:
        with pytest.raises(Refused, match="fake-one"):
            await shelf.acquire(ModelId("nobody"))


async def test_who_gives_up_waiting_does_not_stop_the_loading_for_the_others_and_uses_nothing() -> None:
    async with a_shelf() as shelf:
        patient = asyncio.ensure_future(shelf.acquire(ONE, S1))
        hasty = asyncio.ensure_future(shelf.acquire(ONE, S2))
        await asyncio.sleep(0)
        hasty.cancel()
        assert (await patient).voice.model == ONE
        assert shelf.status(ONE).users == 1


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (missing(), "missing"),
        (ModelUnavailable("not what was promised", fault="checksum"), "checksum"),
        (ModelUnavailable("no ONNX file", fault="corrupt"), "corrupt"),
        (MemoryError(), "memory"),
        (ValueError("anything"), "other"),
    ],
)
async def test_a_load_that_fails_is_reported_with_its_reason_and_counted_and_the_others_are_served(
    error: Exception, fault: str
) -> None:
    async with a_shelf() as shelf:
        before = metric("load_failures_total", reason=fault)
        shelf.faults[TWO] = error
        refused = await refusal(shelf, TWO)
        assert refused.code == "model-unavailable"
        assert refused.reason == (str(error) or type(error).__name__)
        status = shelf.status(TWO)
        assert (status.state, status.reason, status.users) == ("failed", refused.reason, 0)
        assert status.retry_in_ms == 1_000
        assert metric("load_failures_total", reason=fault) == before + 1
        assert (await shelf.acquire(ONE)).voice.model == ONE


async def test_a_failed_load_is_tried_again_only_after_a_growing_pause() -> None:
    async with a_shelf() as shelf:
        shelf.faults[ONE] = missing()
        for pause_s in (1, 2, 4):
            await refusal(shelf, ONE)
            loads = len(shelf.loads)
            shelf.time.advance(pause_s - 0.001)
            assert "install antiphon[piper] (tried again in 0 s" in (await refusal(shelf, ONE)).reason
            assert len(shelf.loads) == loads
            shelf.time.advance(0.001)
        del shelf.faults[ONE]
        await shelf.acquire(ONE)
        assert (shelf.status(ONE).state, shelf.status(ONE).reason) == ("resident", "")


async def test_a_model_in_use_is_not_unloaded_and_unloading_returns_when_the_memory_is_back() -> None:
    async with a_shelf() as shelf:
        lease = await shelf.acquire(ONE)
        with pytest.raises(Refused, match="1 sessions") as refused:
            await shelf.models.unload(ONE)
        assert refused.value.code == "model-in-use"
        lease.release()
        lease.release()
        await shelf.models.unload(ONE)
        assert shelf.closed(1)
        assert shelf.memory.given_back > 0
        assert shelf.resident() == ()
        await shelf.models.unload(ONE)


async def test_an_unloaded_model_is_loaded_again_when_asked_for_and_its_level_is_not_measured_again() -> None:
    async with a_shelf() as shelf:
        await shelf.models.load(ONE)
        first = shelf.made[0].steps
        await shelf.models.unload(ONE)
        await shelf.models.load(ONE)
        assert shelf.loads == [ONE, ONE]
        assert 0 < shelf.made[1].steps < first / 5
        assert shelf.made[1].open_phrases == 0


async def test_a_model_that_is_asked_for_while_it_is_being_unloaded_is_loaded_again() -> None:
    async with a_shelf() as shelf:
        await shelf.models.load(ONE)
        going = asyncio.ensure_future(shelf.models.unload(ONE))
        await asyncio.sleep(0)
        assert (await shelf.acquire(ONE)).voice.sample_rate == 24_000
        await going
        assert shelf.closed(1)
        assert shelf.resident() == (ONE,)


async def test_an_actor_that_dies_is_noticed_and_replaced() -> None:
    async with a_shelf() as shelf:
        lease = await shelf.acquire(ONE)
        lease.voice.tell("nonsense")  # type: ignore[arg-type]  # what no message can be: the actor ends by an error
        await shelf.until(lambda: bool(shelf.deaths))
        assert shelf.deaths == [(ONE, "AssertionError")]
        assert shelf.resident() == ()
        assert shelf.closed(1)
        again = await shelf.acquire(ONE)
        assert again.voice is not lease.voice
        lease.release()
        assert shelf.status(ONE).users == 1


async def test_an_idle_model_goes_after_its_time_by_itself_and_the_default_one_stays() -> None:
    async with a_shelf(ttl_ms=5_000, min_residency_ms=1_000) as shelf:
        before = metric("evictions_total", reason="ttl")
        (await shelf.acquire(ONE)).release()
        lease = await shelf.acquire(TWO)
        shelf.time.advance(60.0)
        lease.release()
        assert shelf.status(TWO).idle_ms == 0
        shelf.time.advance(4.999)
        assert shelf.status(TWO).idle_ms == 4_999
        assert shelf.resident() == (ONE, TWO)
        shelf.time.advance(0.001)
        assert shelf.resident() == (ONE,)
        assert metric("evictions_total", reason="ttl") == before + 1
        await shelf.until(lambda: shelf.closed(2))


async def test_above_the_cap_the_least_recently_used_goes_and_the_next_loads_once_its_memory_is_back() -> None:
    async with a_shelf(ONE, TWO, THREE, resident_cap=2) as shelf:
        for model in (ONE, TWO):
            (await shelf.acquire(model)).release()
            shelf.time.advance(1.0)
        await shelf.acquire(THREE)
        assert shelf.resident() == (ONE, THREE)
        assert shelf.closed(2)


async def test_memory_is_what_was_measured_at_loading() -> None:
    async with a_shelf(memory_cap_mb=450) as shelf:
        assert shelf.status(ONE).memory_mb == 100
        shelf.grows = {ONE: 330.0, TWO: 20.0}
        (await shelf.acquire(ONE)).release()
        assert shelf.status(ONE).memory_mb == 330
        (await shelf.acquire(TWO)).release()
        assert shelf.status(TWO).memory_mb == 50, "less than half of the estimate is not believed"
        assert metric("models_memory_bytes") == 380 * 2**20


async def test_on_a_gpu_its_memory_counts() -> None:
    async with a_shelf() as shelf:
        shelf.grows, shelf.fills = {ONE: 70.0}, {ONE: 900.0}
        await shelf.acquire(ONE)
        assert shelf.status(ONE).memory_mb == 900


async def test_a_load_without_room_beside_the_models_in_use_is_refused_at_once() -> None:
    async with a_shelf(memory_cap_mb=150) as shelf:
        lease = await shelf.acquire(ONE)
        refused = await refusal(shelf, TWO)
        assert refused.code == "no-room"
        assert refused.reason == "fake-two needs 100 MB of memory_cap_mb 150, of which 100 MB are in use"
        lease.release()
        await shelf.acquire(TWO)
        assert shelf.resident() == (TWO,)


async def test_a_named_model_is_loaded_anew_once_nobody_uses_it() -> None:
    async with a_shelf() as shelf:
        lease = await shelf.acquire(ONE)
        await shelf.models.reload(ONE)
        assert shelf.loads == [ONE]
        lease.release()
        await shelf.until(lambda: shelf.loads == [ONE, ONE] and shelf.resident() == (ONE,))
        assert shelf.closed(1)
        await shelf.models.reload(ONE)
        assert shelf.loads == [ONE, ONE, ONE]
        assert shelf.resident() == (ONE,)


async def test_a_reload_makes_a_failed_model_be_tried_at_once_and_says_why_it_fails_again() -> None:
    async with a_shelf() as shelf:
        shelf.faults[TWO] = missing()
        await refusal(shelf, TWO)
        with pytest.raises(Refused, match="install antiphon"):
            await shelf.models.reload(TWO)
        del shelf.faults[TWO]
        await shelf.models.reload(TWO)
        assert shelf.resident() == (TWO,)


async def test_packs_are_read_anew_new_ones_are_known_and_those_that_have_gone_are_unloaded_when_unused() -> None:
    packs: list[Voice] = []
    async with a_shelf(ONE, TWO, reread=lambda: packs) as shelf:
        lease = await shelf.acquire(TWO)
        packs[:] = [shelf.voice(ONE), shelf.voice(THREE)]
        await shelf.models.reload()
        assert shelf.models.voices.models == (ONE, THREE)
        assert shelf.resident() == (TWO,), "it is in use"
        with pytest.raises(Refused, match="there is no voice"):
            await shelf.acquire(TWO)
        lease.release()
        await lease.voice.ended
        assert shelf.resident() == ()
        await shelf.acquire(THREE)


async def test_packs_that_cannot_be_read_change_nothing() -> None:
    def broken() -> list[Voice]:
        raise SettingsInvalid("default_model_id: there is no fake-one; there are: none")

    async with a_shelf(ONE, reread=broken) as shelf:
        with pytest.raises(Refused, match="there is no fake-one") as refused:
            await shelf.models.reload()
        assert refused.value.code == "packs-invalid"
        assert shelf.models.voices.models == (ONE,)


async def test_a_voice_is_listed_with_what_its_pack_says() -> None:
    async with a_shelf() as shelf:
        shelf.models.voices.replace([shelf.voice(ONE, title="The one", licence="CC0-1.0"), shelf.voice(TWO)])
        status = shelf.status(ONE)
        assert (status.title, status.licence, status.is_default) == ("The one", "CC0-1.0", True)
        assert not shelf.status(TWO).is_default


async def test_languages_are_matched_without_their_region() -> None:
    async with a_shelf() as shelf:
        assert shelf.models.voices.speaks(ONE, "en-GB")
        assert shelf.models.voices.speaks(ONE, "de")
        assert not shelf.models.voices.speaks(ONE, "fr")
        assert shelf.models.voices.languages == ("en", "de-AT")
        assert shelf.models.voices.model_languages[TWO] == ("en", "de-AT")
