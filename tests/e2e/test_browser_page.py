"""What the page shows and asks: a real browser, the real HTTP side, and a host that says what the test wants said."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.audio import SPEECH_RATE
from protocol.conversation import CloseSession, Configure, Heard, Interrupt, Say, SessionError, TurnMeasured
from tests.e2e.browser import TalkPage, microphone_wav, talk_page
from tests.e2e.page_host import TURN, PageHost, page_host, reply, state, words
from tests.fakes.scripted_host import SESSION
from tests.speech import silence, spoken

pytestmark = pytest.mark.browser


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    hello = spoken("Hello there, is anybody listening?", SPEECH_RATE)
    return microphone_wav(tmp_path / "hello.wav", hello, silence(1, SPEECH_RATE))


@pytest.fixture
async def served() -> AsyncIterator[PageHost]:
    async with page_host() as served:
        yield served


@pytest.fixture
async def talk(served: PageHost, microphone: Path) -> AsyncIterator[TalkPage]:
    """A page in conversation."""
    async with talk_page(served.url, microphone) as talk:
        await talk.start()
        yield talk
        assert talk.complaints == [], "the page breaks its own policy, or throws"


async def test_each_state_of_the_floor_is_shown_in_words(served: PageHost, talk: TalkPage) -> None:
    shown = {"THINKING": "Thinking", "SPEAKING": "Speaking", "BARGED_IN": "Paused for you", "LISTENING": "Listening"}
    for name, headline in shown.items():
        served.host.tell(state(name))  # type: ignore[arg-type]  # the keys are states
        await talk.shows("#state", headline)


async def test_a_transcript_grows_in_place(served: PageHost, talk: TalkPage) -> None:
    served.host.tell(words("What is", 1, final=False))
    await talk.shows(".user.open .heard", "What is")
    served.host.tell(words("What is the time?", 1, final=True))
    await talk.shows(".user:not(.open) .heard", "What is the time?")
    assert await talk.page.locator(".user").count() == 1


async def test_what_was_not_heard_of_a_reply_is_set_apart(served: PageHost, talk: TalkPage) -> None:
    served.host.tell(state("THINKING"), reply("First this."), reply("Then that."), state("SPEAKING"))
    await talk.shows(".machine .heard", "First this. Then that.")
    served.host.tell(
        state("BARGED_IN"),
        Heard(session=SESSION, turn=TURN, heard="First this.", unheard=" Then that.", interrupted=True, exact=True),
        state("LISTENING"),
    )
    await talk.shows(".machine .unheard-text", "Then that.")
    assert await talk.page.inner_text(".machine .heard") == "First this."
    heard, unheard = [await _colour(talk, f".machine .{name}") for name in ("heard", "unheard-text")]
    assert heard != unheard
    await talk.shows(".machine .remark", "Interrupted")


async def _colour(talk: TalkPage, selector: str) -> str:
    return str(await talk.page.evaluate("s => getComputedStyle(document.querySelector(s)).color", selector))


async def test_words_that_did_not_interrupt_are_an_aside(served: PageHost, talk: TalkPage) -> None:
    served.host.tell(reply("A long reply."), state("SPEAKING"), state("BARGED_IN"), words("mm-hm", 1, final=False))
    await talk.shows(".user.open .heard", "mm-hm")
    served.host.tell(state("SPEAKING"))
    await talk.shows(".user.aside .heard", "mm-hm")
    await talk.shows("#substate", "the reply goes on")


async def test_the_last_turns_latencies_are_shown_with_their_meaning(served: PageHost, talk: TalkPage) -> None:
    measured = {"end_of_speech_to_first_frame": 612.4, "speech_started_to_hold": 0.42, "asr_compute": 1234.0}
    served.host.tell(TurnMeasured(session=SESSION, turn=TURN, latencies_ms=measured))
    strip = await talk.shows("#latencies-list", "612 ms")
    assert "from your last word to the reply" in strip
    assert "0.4 ms" in strip
    assert "1.23 s" in strip


async def test_text_is_spoken_and_a_reply_stopped(served: PageHost, talk: TalkPage) -> None:
    await talk.say("  Good evening.  ")
    assert await served.asked() == Say(text="Good evening.")
    served.host.tell(state("SPEAKING"))
    await talk.page.click("#stop:enabled")
    assert await served.asked() == Interrupt()


async def test_a_voice_is_chosen_and_kept_for_the_next_time(served: PageHost, talk: TalkPage) -> None:
    await talk.page.click("#settings summary")
    await talk.page.select_option("#voice", "piper-joe")
    asked = await served.asked()
    assert isinstance(asked, Configure)
    assert asked.config.voice == "piper-joe"
    await talk.page.reload()
    await talk.until("document.getElementById('voice').value === 'piper-joe'")
    await talk.start()
    config = served.host.opened[-1]
    assert not isinstance(config, str)
    assert config.voice == "piper-joe"


async def test_an_error_is_said_in_its_own_words(served: PageHost, talk: TalkPage) -> None:
    served.host.tell(SessionError(session=SESSION, code="llm-timeout", message="The model did not answer in 10 s."))
    assert "did not answer in 10 s" in await talk.shows("#banner", "did not answer")
    await talk.page.click("#banner .dismiss")
    await talk.page.wait_for_selector("#banner", state="hidden")


async def test_the_microphone_moves_its_meter(talk: TalkPage) -> None:
    await talk.until("Number(document.getElementById('level-track').ariaValueNow) > 30")


async def test_hanging_up_ends_the_session(served: PageHost, talk: TalkPage) -> None:
    await talk.page.click("#hang-up")
    assert isinstance(await served.asked(), CloseSession)
    await talk.reaches("idle")
    await talk.shows("#start", "Start")
