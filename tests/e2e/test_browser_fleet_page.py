"""The workers' panel: a real browser, the real HTTP side, and workers that do what the test wants."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.audio import SPEECH_RATE
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.ports import Readiness, WorkerView
from protocol.workers import Load, ModelStatus
from tests.e2e.browser import DESK, PHONE, TalkPage, microphone_wav, talk_page
from tests.e2e.page_host import page_host
from tests.e2e.system import free_port
from tests.fakes.fleet import HEART, JOE, FakeFleet, announcement, statuses, view
from tests.speech import silence

pytestmark = pytest.mark.browser

KEY, ADMIN = "open-sesame", "only-for-operators"
W0 = WorkerName("tts-0")
LOAD_JOE = "button[aria-label='Load piper-joe at tts-0']"
UNLOAD_HEART = "button[aria-label='Unload hibari-heart at tts-0']"


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    return microphone_wav(tmp_path / "silence.wav", silence(1, SPEECH_RATE))


@asynccontextmanager
async def panel(
    fleet: FakeFleet, microphone: Path, *, admin_key: str | None = None, size: tuple[int, int] = DESK
) -> AsyncIterator[TalkPage]:
    """The page with the panel open."""
    async with page_host(fleet=fleet, admin_key=admin_key) as host, talk_page(host.url, microphone, size=size) as talk:
        await talk.page.click("#fleet-summary")
        await talk.shows(".worker h3")
        yield talk


async def enter_key(talk: TalkPage, key: str) -> None:
    await talk.page.fill("#fleet-key", key)
    await talk.page.press("#fleet-key", "Enter")


def with_model(**fields: object) -> WorkerView:
    """A worker whose second model is in this state."""
    worker = announcement()
    first, second = statuses(worker)
    return WorkerView(worker=worker, models=(first, replace(second, **fields)))  # type: ignore[arg-type]  # its fields


async def test_a_worker_is_shown_with_its_figures_and_followed(microphone: Path) -> None:
    load = Load(rtf=0.21, queue_depth=3, p50_first_audio_ms=83.4)
    fleet = FakeFleet(view(sessions=2, capacity=32, metrics=load))
    async with panel(fleet, microphone) as talk:
        facts = " ".join((await talk.shows(".worker .facts")).split())
        assert facts == "Sessions 2 of 32 Queue 3 Latency 83 ms Real-time factor 0.21"
        assert "in memory" in await talk.shows(".model", HEART)
        assert "60 MB" in await talk.shows(".model", HEART)
        fleet.change(view(sessions=5, capacity=32), view("tts-1"))
        await talk.shows(".worker .facts", "5 of 32")
        await talk.shows(".worker h3", "tts-1")
        await talk.shows("#fleet-news", "2 at work")
        fleet.change(view("tts-1"))
        await talk.until("document.querySelectorAll('.worker').length === 1")
        assert talk.complaints == []


async def test_a_model_is_loaded_and_unloaded_by_its_button(microphone: Path) -> None:
    fleet = FakeFleet(view())
    async with panel(fleet, microphone) as talk:
        await talk.page.click(LOAD_JOE)
        await talk.shows("#fleet-news", "piper-joe is in memory after")
        fleet.change(view(resident_models=(HEART, JOE)))
        await talk.page.click("button[aria-label='Unload piper-joe at tts-0']")
        await talk.shows("#fleet-news", "piper-joe is unloaded")
        assert fleet.asked == [("load", W0, JOE), ("unload", W0, JOE)]


async def test_why_a_button_can_not_be_pressed_is_said(microphone: Path) -> None:
    worker = announcement()
    fleet = FakeFleet(WorkerView(worker=worker, models=statuses(worker, heart=2)))
    async with panel(fleet, microphone) as talk:
        assert await talk.page.is_disabled(UNLOAD_HEART)
        described = await talk.page.get_attribute(UNLOAD_HEART, "aria-describedby")
        assert described is not None
        assert "in use by 2 sessions" in await talk.page.inner_text(f"#{described.split()[0]}")
        fleet.change(with_model(state="loading"))
        await talk.shows("button[aria-busy=true]", "Loading")
        fleet.change(with_model(state="failed", reason="the checksum is wrong", retry_in_ms=28_000))
        assert "the checksum is wrong; tried again in 28 s" in await talk.shows(".model .detail", "checksum")
        assert await talk.page.is_enabled(LOAD_JOE)
        draining = replace(worker, state="draining")
        fleet.change(WorkerView(worker=draining, models=statuses(draining)))
        await talk.shows(".model .detail", "it is draining")
        assert await talk.page.is_disabled(LOAD_JOE)
        fleet.change(replace(view(), answers=False))
        await talk.shows(".worker .mark", "no answer")
        assert await talk.page.is_disabled(LOAD_JOE)


async def test_a_worker_of_another_system_and_one_with_a_single_model_have_no_model_buttons(microphone: Path) -> None:
    whisper = ModelId("whisper-tiny-en")
    asr = announcement("asr-0", kind="asr", models=(whisper,), resident_models=(whisper,))
    fleet = FakeFleet(WorkerView(worker=asr, models=statuses(asr)), replace(view("tts-0", via="bridge"), answers=False))
    async with panel(fleet, microphone) as talk:
        await talk.shows(".worker .why", "started with")
        await talk.shows(".worker .why", "steer it there")
        assert await talk.page.locator(".model button:visible").count() == 0
        assert await talk.page.is_enabled("button[aria-label='Drain asr-0']")
        assert await talk.page.is_disabled("button[aria-label='Drain tts-0']")


async def test_a_refusal_is_said_in_words(microphone: Path) -> None:
    fleet = FakeFleet(view(), refusal=Refused("memory-full", "There is room for 2 models, and both are in use."))
    async with panel(fleet, microphone) as talk:
        await talk.page.click(LOAD_JOE)
        said = await talk.shows("#fleet-problem")
        assert said == "Could not load piper-joe at tts-0: There is room for 2 models, and both are in use."
        assert await talk.page.get_attribute("#fleet-problem", "role") == "alert"
        assert await talk.page.is_enabled(LOAD_JOE)


async def test_draining_asks_first(microphone: Path) -> None:
    fleet = FakeFleet(view())
    async with panel(fleet, microphone) as talk:
        await talk.page.click("button[aria-label='Drain tts-0']")
        await talk.shows("#drain h2", "Drain tts-0?")
        await talk.page.click("#drain-cancel")
        await talk.page.wait_for_selector("#drain", state="hidden")
        await talk.page.click("button[aria-label='Drain tts-0']")
        await talk.page.keyboard.press("Escape")
        await talk.page.wait_for_selector("#drain", state="hidden")
        assert await talk.page.is_visible(".worker"), "Escape closes the question, not the panel"
        assert fleet.asked == []
        await talk.page.click("button[aria-label='Drain tts-0']")
        await talk.page.click("#drain-confirm")
        await talk.shows("#fleet-news", "tts-0 is draining")
        assert fleet.asked == [("drain", W0, None)]


async def test_an_admin_key_is_asked_for_kept_for_the_tab_and_can_be_forgotten(microphone: Path) -> None:
    fleet = FakeFleet(view())
    async with panel(fleet, microphone, admin_key=ADMIN) as talk:
        assert await talk.page.is_disabled(LOAD_JOE)
        await enter_key(talk, "wrong")
        await talk.page.click(LOAD_JOE)
        await talk.shows("#fleet-problem", "did not accept that admin key")
        await talk.until("document.activeElement.id === 'fleet-key'")
        assert await talk.page.is_disabled(LOAD_JOE)
        await enter_key(talk, ADMIN)
        await talk.page.click(LOAD_JOE)
        await talk.shows("#fleet-news", "in memory after")
        assert fleet.asked == [("load", W0, JOE)]
        kept = "[...Object.values(localStorage), document.cookie, location.href].join()"
        assert ADMIN not in await talk.page.evaluate(kept)
        await talk.page.reload()
        await talk.page.click("#fleet-summary")
        await talk.page.click(LOAD_JOE)
        await talk.shows("#fleet-news", "in memory after")
        await talk.page.click("#fleet-forget")
        await talk.page.wait_for_selector("#fleet-key", state="visible")
        assert await talk.page.is_disabled(LOAD_JOE)


async def test_a_gateway_with_an_api_key_asks_for_it_and_says_that_steering_is_off(microphone: Path) -> None:
    async with page_host(KEY, fleet=FakeFleet(view())) as host, talk_page(host.url, microphone) as talk:
        await talk.page.click("#fleet-summary")
        await talk.page.wait_for_selector("#key[open]")
        await talk.page.fill("#key-input", KEY)
        await talk.page.press("#key-input", "Enter")
        await talk.shows(".worker h3", "tts-0")
        await talk.shows("#fleet-steering", "ANTIPHON_ADMIN_KEY")
        assert await talk.page.is_disabled(LOAD_JOE)


async def test_a_gateway_without_workers_to_show_says_so(microphone: Path) -> None:
    async with page_host() as host, talk_page(host.url, microphone) as talk:
        await talk.page.click("#fleet-summary")
        await talk.shows("#fleet-problem", "does not show its workers")


async def test_a_lost_connection_comes_back(microphone: Path) -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        async with page_host(fleet=FakeFleet(view()), port=port) as host:
            talk = await stack.enter_async_context(talk_page(host.url, microphone))
            await talk.page.click("#fleet-summary")
            await talk.shows(".worker h3", "tts-0")
        await talk.page.wait_for_selector("#fleet[data-link=lost]")
        await talk.shows("#fleet-news", "trying again")
        await talk.shows("#fleet-problem", "does not answer")
        async with page_host(fleet=FakeFleet(view("tts-1")), port=port):
            await talk.shows(".worker h3", "tts-1")
            await talk.page.wait_for_selector("#fleet[data-link=live]")
            await talk.page.wait_for_selector("#fleet-problem", state="hidden")
            await talk.shows("#fleet-news", "1 at work")


async def test_nobody_is_asked_while_the_panel_is_closed(microphone: Path) -> None:
    fleet = FakeFleet(view())
    async with panel(fleet, microphone) as talk:
        assert len(fleet.watchers) == 1
        await talk.page.click("#fleet-summary")
        await talk.page.wait_for_selector(".worker", state="hidden")
        fleet.change(view("tts-1"))
        await talk.page.click("#fleet-summary")
        await talk.shows(".worker h3", "tts-1")
        fleet.change(*fleet.views)
        assert len(fleet.watchers) <= 2, "the one that has left goes at the next word to it"


async def test_the_keyboard_reaches_everything_and_keeps_its_place_while_figures_change(microphone: Path) -> None:
    fleet = FakeFleet(view())
    async with panel(fleet, microphone) as talk:
        await talk.page.focus("#fleet-summary")
        names = []
        for _ in range(3):
            await talk.page.keyboard.press("Tab")
            names.append(await talk.page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert names == ["Drain tts-0", "Unload hibari-heart at tts-0", "Load piper-joe at tts-0"]
        fleet.change(view("tts--1"), view(sessions=3))
        await talk.shows(".facts", "3 of 4")
        assert await talk.page.evaluate("document.activeElement.getAttribute('aria-label')") == names[-1]
        await talk.page.keyboard.press("Enter")
        await talk.shows("#fleet-news", "in memory")
        fleet.change()
        await talk.until("document.activeElement.id === 'fleet-summary'")
        await talk.page.keyboard.press("Escape")
        await talk.until("!document.getElementById('fleet').open")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_long_names_and_reasons_stay_within_the_screen(size: tuple[int, int], microphone: Path) -> None:
    worker = announcement("tts-" + "x" * 60, models=("m" * 64,), resident_models=())
    failed = ModelStatus(model=ModelId("m" * 64), state="failed", reason="reason-" * 60)
    fleet = FakeFleet(WorkerView(worker=worker, models=(failed,)))
    async with panel(fleet, microphone, admin_key=ADMIN, size=size) as talk:
        out = await talk.page.evaluate(
            """() => [...document.querySelectorAll("#fleet, #fleet *")]
              .filter((e) => e.checkVisibility())
              .filter((e) => {
                const { left, right } = e.getBoundingClientRect();
                return right > innerWidth + 0.5 || left < -0.5;
              })
              .map((e) => e.id || e.className || e.localName)"""
        )
        assert out == []


@pytest.mark.parametrize("chosen", ["one", "three"])
async def test_the_list_of_voices_follows_those_that_there_are(chosen: str, microphone: Path) -> None:
    async with page_host() as host, talk_page(host.url, microphone) as talk:
        await talk.page.click("#settings summary")
        host.host.readiness_now = Readiness(ready=True, voices=("one", "two", "three"))
        await talk.until("document.getElementById('voice').options.length === 3")
        await talk.page.select_option("#voice", chosen)
        host.host.readiness_now = Readiness(ready=True, voices=("one", "two"))
        await talk.until("document.getElementById('voice').options.length === 2")
        assert await talk.page.input_value("#voice") == "one"
        host.host.readiness_now = Readiness(ready=True, voices=("one", "two", "three"))
        await talk.until("document.getElementById('voice').options.length === 3")
        assert await talk.page.input_value("#voice") == chosen, "what was chosen is there again"
