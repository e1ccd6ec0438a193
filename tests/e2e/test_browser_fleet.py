"""The workers' panel in a real browser with the whole system: models are loaded and unloaded, workers come and go."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from protocol.audio import SPEECH_RATE
from tests.e2e.browser import TalkPage, microphone_wav, talk_page
from tests.e2e.system import System
from tests.speech import silence

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.models, pytest.mark.realtime]

ADMIN = "only-for-operators"
SLOWLY_MS = 60_000
"""For a real model to be loaded, or a process to come back, on a busy machine."""
LOAD, UNLOAD = (f"button[aria-label='{what} piper-joe at tts-piper-0']" for what in ("Load", "Unload"))
HEART = ".worker:has(#worker-tts-hibari-0) .model"
JOE = ".worker:has(#worker-tts-piper-0) .model"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`antiphon up` with an admin key."""
    environment = {"ANTIPHON_ADMIN_KEY": ADMIN}
    system = System(tmp_path_factory.mktemp("guarded"), environment=environment).wait_until_complete()
    try:
        yield system
    finally:
        system.kill()


@pytest.fixture
async def talk(guarded: System, tmp_path: Path) -> AsyncIterator[TalkPage]:
    """The page, with the panel open and the key entered."""
    microphone = microphone_wav(tmp_path / "silence.wav", silence(1, SPEECH_RATE))
    async with talk_page(guarded.url, microphone) as talk:
        await talk.page.click("#fleet-summary")
        await talk.shows(".worker h3", "tts-piper-0")
        await _enter(talk, ADMIN)
        yield talk


async def _enter(talk: TalkPage, key: str) -> None:
    await talk.page.fill("#fleet-key", key)
    await talk.page.press("#fleet-key", "Enter")


async def test_a_model_is_unloaded_and_loaded_again_and_seen_by_everybody_who_looks(
    guarded: System, talk: TalkPage, tmp_path: Path
) -> None:
    microphone = microphone_wav(tmp_path / "silence.wav", silence(1, SPEECH_RATE))
    async with talk_page(guarded.url, microphone) as other:
        await other.page.click("#fleet-summary")
        await other.shows(JOE, "in memory")
        await talk.page.click(UNLOAD)
        await talk.shows("#fleet-news", "piper-joe is unloaded", timeout_ms=SLOWLY_MS)
        await other.shows(JOE, "not loaded")
        await talk.page.click(LOAD)
        await talk.shows("#fleet-news", "piper-joe is in memory after", timeout_ms=SLOWLY_MS)
        await other.shows(JOE, "in memory")
        assert talk.complaints == other.complaints == []


async def test_a_wrong_key_changes_nothing(talk: TalkPage) -> None:
    await talk.page.click("#fleet-forget")
    await _enter(talk, "wrong")
    await talk.page.click(UNLOAD)
    await talk.shows("#fleet-problem", "did not accept that admin key")
    assert "in memory" in await talk.shows(JOE)


async def test_a_voice_in_use_is_kept_and_its_session_is_counted(talk: TalkPage) -> None:
    await talk.page.click("#start")
    await talk.shows(HEART, "in use by 1 session")
    await talk.shows(".worker:has(#worker-tts-hibari-0) .facts", "1 of 32")
    unload = "button[aria-label='Unload hibari-heart at tts-hibari-0']"
    assert await talk.page.get_attribute(unload, "aria-disabled") == "true"
    await talk.page.click("#hang-up")
    await talk.until(f"document.querySelector(\"{unload}\").ariaDisabled === 'false'", timeout_ms=SLOWLY_MS)


async def test_a_gateway_that_is_killed_is_found_again(guarded: System, talk: TalkPage) -> None:
    guarded.parts()["gateway"].kill()
    await talk.page.wait_for_selector("#fleet[data-link=lost]")
    await talk.page.wait_for_selector("#fleet[data-link=live]", timeout=SLOWLY_MS)
    await talk.shows(".worker h3", "tts-piper-0")
    await talk.page.wait_for_selector("#fleet-problem", state="hidden")


async def test_a_drained_worker_goes_with_its_voice_and_ctrl_c_ends_all_with_the_panel_open(
    guarded: System, talk: TalkPage
) -> None:
    await talk.page.click("#settings summary")
    await talk.until("[...document.getElementById('voice').options].some((o) => o.value === 'piper-joe')")
    await talk.page.click("#fleet-summary")
    await talk.page.click("button[aria-label='Drain tts-piper-0']")
    await talk.page.click("#drain-confirm")
    await talk.page.wait_for_selector("#worker-tts-piper-0", state="detached", timeout=SLOWLY_MS)
    await talk.page.click("#settings summary")
    await talk.until("![...document.getElementById('voice').options].some((o) => o.value === 'piper-joe')")
    await talk.page.click("#fleet-summary")
    await talk.shows("#fleet-news", "2 at work")
    guarded.stop()
