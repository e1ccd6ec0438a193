"""The pictures in README and docs, of a real conversation: `python -m tests.e2e.screenshots [FOLDER]`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from protocol.audio import SPEECH_RATE
from tests.e2e.browser import DESK, PHONE, TalkPage, microphone_wav, talk_page
from tests.e2e.system import ROOT, System
from tests.speech import joined, mm_hm, silence, spoken

TEXT: Final = (
    "The harbour lies quiet in the morning, and the boats come back one after another with what the night has given. "
    "People stand on the pier and wait, some with baskets, some with nothing but their hands in their pockets."
)
_SCALE: Final = 1.5
_SHOTS: Final[tuple[tuple[str, tuple[int, int], Literal["light", "dark"]], ...]] = (
    ("page", DESK, "light"),
    ("page-dark", DESK, "dark"),
    ("page-phone", PHONE, "dark"),
)


def _microphone(folder: Path) -> Path:
    """A question, a hum during the text that the page is asked to say, and words that end it."""
    return microphone_wav(
        folder / "microphone.wav",
        joined(
            silence(5, SPEECH_RATE),
            spoken("Good morning! Can you hear me?", SPEECH_RATE),
            silence(10, SPEECH_RATE),
            mm_hm(SPEECH_RATE),
            silence(3, SPEECH_RATE),
            spoken("Wait, that is enough for now.", SPEECH_RATE),
            silence(20, SPEECH_RATE),
        ),
    )


async def _converse(talk: TalkPage) -> None:
    await talk.start()
    await talk.shows(".machine:not(.open) .heard", "Good morning")
    await talk.say(TEXT)
    await talk.shows(".machine .unheard:not([hidden]) .unheard-text", timeout_ms=40_000)
    await talk.reaches("SPEAKING")
    await talk.until("Number(document.getElementById('level-track').ariaValueNow) < 20")
    await talk.page.evaluate("document.activeElement.blur()")
    await talk.page.wait_for_timeout(700)  # for the picture to move


async def _open_workers(talk: TalkPage) -> None:
    """While its voice is in use."""
    await talk.page.click("#fleet-summary")
    await talk.shows(".model .detail", "in use by 1 session")


async def _main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        microphone = _microphone(Path(scratch))
        with System(Path(scratch) / "data") as system:
            for name, size, scheme in _SHOTS:
                async with talk_page(system.url, microphone, size=size, scheme=scheme, scale=_SCALE) as talk:
                    await _converse(talk)
                    await talk.page.screenshot(path=folder / f"{name}.png")
                    if name == "page":
                        await _open_workers(talk)
                        await talk.page.screenshot(path=folder / "workers.png")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
