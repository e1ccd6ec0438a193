"""A real Chromium with a WAV for a microphone, and the page as a person sees it."""

import base64
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pytest
import soundfile as sf

from protocol.audio import SPEECH_RATE
from protocol.ports import Pcm
from tests.clients.sound import Pcm16

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

DESK: Final = (1280, 800)
PHONE: Final = (360, 740)
PATIENCE_MS: Final = 20_000
"""For anything that the page should show, on a busy machine."""

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
_LOG: Final = """
window.shown = [];
new MutationObserver(() => {
  const { state } = document.body.dataset;
  if (state !== shown.at(-1)?.state) shown.push({ state, at: performance.now() });
}).observe(document, { attributeFilter: ["data-state"], subtree: true });
"""
_RECORDER: Final = (Path(__file__).parent / "recorder.js").read_text()

Microphone = Literal["refused"] | Path


def chromium() -> str:
    """Where it is. Skips the test without it, but fails in CI, where it must be."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    reason = "there is no Chromium here: apt install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def microphone_wav(path: Path, *sounds: Pcm) -> Path:
    """What the microphone hears, once, from the moment it is opened; sounds at 48 kHz, one after another."""
    sf.write(path, np.concatenate(sounds), SPEECH_RATE, subtype="PCM_16")
    return path


def _flags(microphone: Microphone) -> list[str]:
    match microphone:
        case "refused":
            return ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]
        case path:
            return [
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={path}%noloop",
            ]


@asynccontextmanager
async def browser(microphone: Microphone) -> AsyncIterator["Browser"]:
    """Chromium, which ends with the block."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  # half a second, also of suites without a browser

    executable = chromium()
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable, args=[*_FLAGS, *_flags(microphone)])
        try:
            yield launched
        finally:
            await launched.close()


@dataclass(frozen=True, slots=True)
class Mark:
    """A state that the page showed, and how much had been recorded then (with the recorder's 85 ms of delay)."""

    state: str
    at: int


class TalkPage:
    """The page, opened. `complaints` is what the browser wrote to its console, such as a breach of the policy."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def start(self) -> None:
        """Click, and return when it listens."""
        await self.page.click("#start")
        await self.reaches("LISTENING")

    async def reaches(self, state: str, *, timeout_ms: float = PATIENCE_MS) -> None:
        """Return when the page shows this state."""
        await self.page.wait_for_selector(f"body[data-state='{state}']", timeout=timeout_ms)

    async def has_shown(self, state: str) -> float:
        """Return when it shows this state or has shown it, however briefly: at which of the page's milliseconds."""
        await self.until(f"shown.some(s => s.state === '{state}')")
        return float(await self.page.evaluate("name => shown.find(s => s.state === name).at", state))

    async def shows(self, selector: str, text: str = "", *, timeout_ms: float = PATIENCE_MS) -> str:
        """The whole text of the first element that holds `text`, once it is visible."""
        found = self.page.locator(selector).filter(has_text=text).first
        await found.wait_for(timeout=timeout_ms)
        return await found.inner_text()

    async def until(self, expression: str, *, timeout_ms: float = PATIENCE_MS) -> None:
        """Return when this is true in the page."""
        await self.page.wait_for_function(f"() => {expression}", timeout=timeout_ms)

    async def say(self, text: str) -> None:
        """Type it and press Enter."""
        await self.page.fill("#say", text)
        await self.page.press("#say", "Enter")

    async def record(self) -> None:
        """Keep what the browser plays from now on."""
        await self.page.evaluate(_RECORDER)

    async def recorded(self) -> Pcm16:
        """All of it so far, at 48 kHz."""
        return np.frombuffer(base64.b64decode(await self.page.evaluate("recording.take()")), dtype="<i2")

    async def marks(self) -> list[Mark]:
        """The states since the recording began."""
        found: list[dict[str, Any]] = await self.page.evaluate("recording.states")
        return [Mark(entry["state"], int(entry["at"])) for entry in found]


@asynccontextmanager
async def talk_page(
    url: str,
    microphone: Microphone,
    *,
    size: tuple[int, int] = DESK,
    scheme: Literal["light", "dark"] = "light",
    scale: float = 1,
) -> AsyncIterator[TalkPage]:
    """The page at `url`, in a browser of its own."""
    async with browser(microphone) as launched:
        context = await launched.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, device_scale_factor=scale
        )
        talk = TalkPage(await context.new_page())
        await talk.page.add_init_script(_LOG)
        await talk.page.goto(url)
        yield talk
