"""Getting in and staying in: lost connections, keys, microphones, keyboards and narrow screens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.audio import SPEECH_RATE
from protocol.conversation import CloseSession, Interrupt, Say, SessionError, TurnMeasured
from tests.e2e.browser import DESK, PHONE, TalkPage, microphone_wav, talk_page
from tests.e2e.page_host import TURN, PageHost, page_host, reply, state, words
from tests.fakes.scripted_host import SESSION
from tests.speech import silence, spoken

pytestmark = pytest.mark.browser

KEY = "open-sesame"


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    hello = spoken("Hello there, is anybody listening?", SPEECH_RATE)
    return microphone_wav(tmp_path / "hello.wav", hello, silence(1, SPEECH_RATE))


@pytest.fixture
async def served() -> AsyncIterator[PageHost]:
    async with page_host() as served:
        yield served


@pytest.fixture
async def locked() -> AsyncIterator[PageHost]:
    """A gateway with an API key."""
    async with page_host(KEY) as locked:
        yield locked


async def test_a_lost_connection_comes_back_to_its_session(served: PageHost, microphone: Path) -> None:
    async with talk_page(served.url, microphone) as talk:
        await talk.start()
        served.host.tell(words("Before.", 1, final=True))
        await talk.shows(".user .heard", "Before.")
        served.host.lose()
        await talk.has_shown("reconnecting")
        await talk.reaches("LISTENING")
        assert served.host.opened[-1] == "resumed"
        served.host.tell(words("After.", 2, final=True))
        await talk.shows(".user .heard", "After.")
        assert await talk.page.locator(".user").count() == 2


async def test_a_session_that_was_not_kept_is_replaced_and_that_is_said(served: PageHost, microphone: Path) -> None:
    async with talk_page(served.url, microphone) as talk:
        await talk.start()
        served.host.tell(words("Before.", 1, final=True))
        await talk.shows(".user .heard", "Before.")
        served.host.remembers = False
        served.host.lose()
        await talk.shows(".note", "This is a new one")
        await talk.reaches("LISTENING")
        served.host.tell(words("After.", 1, final=True))
        await talk.shows(".user .heard", "After.")
        assert await talk.page.locator(".user").count() == 2, "the new session counts from the beginning again"


async def test_what_is_missing_is_said_until_it_is_there(served: PageHost, microphone: Path) -> None:
    served.host.waits_for("voice: no worker speaks en")
    async with talk_page(served.url, microphone) as talk:
        assert "no worker speaks en" in await talk.shows("#banner", "waiting")
        await talk.shows("#state", "Not ready")
        served.host.waits_for()
        await talk.page.wait_for_selector("#banner", state="hidden")
        await talk.start()


async def test_a_key_is_asked_for_and_sent(locked: PageHost, microphone: Path) -> None:
    async with talk_page(locked.url, microphone) as talk:
        await talk.page.click("#start")
        for key in ("wrong", KEY):
            await talk.page.wait_for_selector("#key[open]")
            await talk.page.fill("#key-input", key)
            await talk.page.press("#key-input", "Enter")
        await talk.reaches("LISTENING")


async def test_a_key_in_the_address_is_used_and_taken_out_of_it(locked: PageHost, microphone: Path) -> None:
    async with talk_page(f"{locked.url}/?key={KEY}", microphone) as talk:
        await talk.start()
        assert KEY not in talk.page.url


async def test_a_refused_microphone_brings_advice_and_a_way_to_go_on(served: PageHost) -> None:
    async with talk_page(served.url, "refused") as talk:
        await talk.page.click("#start")
        assert "set Microphone to Allow" in await talk.shows("#banner", "was refused")
        await talk.page.click("text=Go on without it")
        await talk.reaches("LISTENING")
        await talk.shows("#substate", "Without a microphone")
        await talk.say("Good evening.")
        assert await served.asked() == Say(text="Good evening.")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        pytest.param("NotFoundError", "Plug one in", id="no-device"),
        pytest.param("NotReadableError", "Close other calls", id="in-use"),
    ],
)
async def test_a_microphone_that_fails_brings_advice(
    served: PageHost, error: str, advice: str, microphone: Path
) -> None:
    async with talk_page(served.url, microphone) as talk:
        await talk.page.evaluate(
            """name => {
              navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
            }""",
            error,
        )
        await talk.page.click("#start")
        assert advice in await talk.shows("#banner", "icrophone")
        await talk.reaches("idle")


async def test_an_insecure_address_gives_no_microphone_and_says_where_to_go(served: PageHost, microphone: Path) -> None:
    async with talk_page(served.url, microphone) as talk:
        await talk.page.add_init_script(
            "Object.defineProperty(navigator, 'mediaDevices', {value: undefined});"
            "Object.defineProperty(window, 'isSecureContext', {value: false});"
        )
        await talk.page.reload()
        await talk.page.click("#start")
        assert "http://localhost:" in await talk.shows("#banner", "secure pages")


async def test_it_can_be_used_with_the_keyboard_alone(served: PageHost, microphone: Path) -> None:
    async with talk_page(served.url, microphone) as talk:
        keyboard = talk.page.keyboard
        await keyboard.press("Space")
        await talk.reaches("LISTENING")
        await keyboard.press("Space")
        await talk.shows("#mute[data-muted=true]", "Unmute")
        served.host.tell(state("SPEAKING"))
        await talk.reaches("SPEAKING")
        await keyboard.press("Escape")
        assert await served.asked() == Interrupt()
        controls = ["fleet-summary", "summary", "mute", "stop", "hang-up", "scroll", "say", "say-send"]
        assert await _stations(talk) == controls
        await _tab_to(talk, "say")
        await keyboard.type("By keyboard.")
        await keyboard.press("Enter")
        assert await served.asked() == Say(text="By keyboard.")
        await _tab_to(talk, "hang-up")
        await keyboard.press("Enter")
        assert isinstance(await served.asked(), CloseSession)
        await talk.reaches("idle")
        await talk.until("document.activeElement.id === 'start'")


_FOCUSED = "() => document.activeElement.id || document.activeElement.localName"


async def _stations(talk: TalkPage) -> list[str]:
    """Where Tab leads, from the top of the page on; each must show that it has the focus."""
    await talk.page.focus("summary")
    await talk.page.keyboard.press("Shift+Tab")  # out of the page
    found: list[str] = []
    while True:
        await talk.page.keyboard.press("Tab")
        name = str(await talk.page.evaluate(_FOCUSED))
        if name in ("body", *found):
            return found
        style = await talk.page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", f"{name} does not show the focus"
        found.append(name)


async def _tab_to(talk: TalkPage, name: str) -> None:
    for _ in range(20):
        if await talk.page.evaluate(_FOCUSED) == name:
            return
        await talk.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_nothing_is_wider_than_the_screen(
    served: PageHost, size: tuple[int, int], scheme: str, microphone: Path
) -> None:
    async with talk_page(served.url, microphone, size=size, scheme=scheme) as talk:  # type: ignore[arg-type]
        assert await _overflow(talk) == []
        await talk.start()
        served.host.tell(
            words("Please say a word of " + "considerable" * 12 + " length.", 1, final=True),
            reply("Here is https://example.org/" + "a-long-path/" * 12 + " to look at."),
            state("SPEAKING"),
            TurnMeasured(session=SESSION, turn=TURN, latencies_ms={"asr_compute": 1.0, "text_to_first_frame": 2.0}),
            SessionError(session=SESSION, code="model-failed", message="x" * 300),
        )
        await talk.shows("#banner", "xxx")
        assert await _overflow(talk) == []
        await talk.page.click("#settings summary")
        assert await _overflow(talk) == []


async def _overflow(talk: TalkPage) -> list[str]:
    """What stands out to the right of the window, apart from what scrolls by itself."""
    return list(
        await talk.page.evaluate(
            """() => {
              const wide = document.documentElement.scrollWidth > innerWidth ? ["page"] : [];
              const out = [...document.querySelectorAll("body *:not(.latencies *)")]
                .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5);
              return [...wide, ...out.map((e) => e.id || e.className || e.localName)];
            }"""
        )
    )
