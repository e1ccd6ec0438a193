"""Models: loaded once for all who ask, refused with the reason, ended when nobody uses them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.mailbox import Mailbox
from actors.models import Models, Voice
from adapters.audio.mastering import calibrate
from protocol.errors import ModelUnavailable, Refused
from protocol.ids import ModelId, SessionId
from protocol.ports import Synthesizer
from tests.fakes.voices import FakeSynthesizer

ONE, TWO, BROKEN = ModelId("fake-one"), ModelId("fake-two"), ModelId("fake-broken")


class Shelf:
    """Voices that count how often they are loaded."""

    def __init__(self) -> None:
        self.loads: list[ModelId] = []
        self.made: list[FakeSynthesizer] = []
        self.deaths: list[tuple[ModelId, str]] = []
        self.died = asyncio.Event()
        self.models = Models(
            [self._voice(model) for model in (ONE, TWO, BROKEN)],
            calibrate=calibrate,
            mailbox=Mailbox(asyncio.get_running_loop()),
            ahead_s=5.0,
            on_made=lambda *_: None,
            on_failed=lambda *_: None,
            on_died=self._on_died,
        )

    def _voice(self, model: ModelId) -> Voice:
        return Voice(model=model, languages=("en", "de-AT"), load=lambda: self._load(model))

    def _load(self, model: ModelId) -> Synthesizer:
        self.loads.append(model)
        if model == BROKEN:
            raise ModelUnavailable("the weights are missing: install antiphon[piper]")
        self.made.append(FakeSynthesizer(model))
        return self.made[-1]

    def _on_died(self, model: ModelId, reason: str) -> None:
        self.deaths.append((model, reason))
        self.died.set()


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf()
    yield shelf
    await shelf.models.stop()


async def test_two_who_ask_at_the_same_time_wait_for_one_loading(shelf: Shelf) -> None:
    first, second = await asyncio.gather(shelf.models.ensure(ONE), shelf.models.ensure(ONE))
    assert first is second
    assert shelf.loads == [ONE]
    assert first.sample_rate == 24_000
    assert shelf.models.resident == (ONE,)


async def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason_and_tried_again(shelf: Shelf) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match="install antiphon") as refused:
            await shelf.models.ensure(BROKEN)
        assert refused.value.code == "model-unavailable"
    assert shelf.loads == [BROKEN, BROKEN]
    assert shelf.models.resident == ()


async def test_an_unknown_model_is_refused_with_the_known_ones(shelf: Shelf) -> None:
    with pytest.raises(Refused, match="fake-one"):
        await shelf.models.ensure(ModelId("nobody"))


async def test_who_gives_up_waiting_does_not_stop_the_loading_for_the_others(shelf: Shelf) -> None:
    patient = asyncio.ensure_future(shelf.models.ensure(ONE))
    hasty = asyncio.ensure_future(shelf.models.ensure(ONE))
    await asyncio.sleep(0)
    hasty.cancel()
    assert (await patient).model == ONE


async def test_a_model_in_use_is_not_unloaded(shelf: Shelf) -> None:
    loaded = await shelf.models.ensure(ONE)
    loaded.users.add(SessionId("s1"))
    with pytest.raises(Refused, match="1 sessions"):
        shelf.models.unload(ONE)
    loaded.users.clear()
    shelf.models.unload(ONE)
    assert shelf.models.resident == ()
    assert loaded.actor is not None
    loaded.actor.actor_stopped.wait(5.0)
    assert shelf.made[0].closed


async def test_an_unloaded_model_is_loaded_again_when_asked_for(shelf: Shelf) -> None:
    await shelf.models.ensure(ONE)
    shelf.models.unload(ONE)
    shelf.models.unload(ONE)
    await shelf.models.ensure(ONE)
    assert shelf.loads == [ONE, ONE]


async def test_an_actor_that_dies_is_noticed_and_replaced(shelf: Shelf) -> None:
    loaded = await shelf.models.ensure(ONE)
    loaded.tell("nonsense")  # type: ignore[arg-type]  # what no message can be: the actor ends by an error
    async with asyncio.timeout(5.0):
        await shelf.died.wait()
    assert shelf.deaths == [(ONE, "AssertionError")]
    assert shelf.models.resident == ()
    assert shelf.made[0].closed
    assert (await shelf.models.ensure(ONE)) is not loaded


async def test_languages_are_matched_without_their_region(shelf: Shelf) -> None:
    assert shelf.models.speaks(ONE, "en-GB")
    assert shelf.models.speaks(ONE, "de")
    assert not shelf.models.speaks(ONE, "fr")
    assert shelf.models.languages == ("en", "de-AT")
