"""One interruption, seen from everywhere at once: the client, the bus and the frames."""

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from protocol.conversation import Hold, SessionConfig, StateChanged
from protocol.hearing import SpeechLikely, SpeechStarted
from protocol.ports import Pcm
from protocol.speaking import Pause
from tests.bench.tap import SeenFrame, Tap, Watched
from tests.clients.websocket import Received, WebSocketClient
from tests.speech import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable

LONG_REPLY: Final = (
    "The harbour lies quiet in the morning, and the boats come back one after another with what the night has given. "
    "People stand on the pier and wait, some with baskets, some with nothing but their hands in their pockets. "
    "Later the market opens, and for an hour or two the whole town seems to be in that one narrow street."
)
INTERRUPTIONS: Final = ("Wait, stop please.", "No, tell me something else.", "Could you stop talking now?")
TENTATIVE: Final = {"": True, "_without_tentative_hold": False}
"""A metric's suffix, and what the session is told."""
_FRAMES_BEFORE: Final = 40
_QUIET_S: Final = 0.4
"""Later than this after the state says LISTENING, no frame of the old turn can be on its way."""


@cache
def interrupting_words() -> tuple[Pcm, ...]:
    """Call it before anything is measured: making them keeps this process from its frames for a second."""
    return tuple(spoken(text) for text in INTERRUPTIONS)


@dataclass(frozen=True, slots=True)
class Interruption:
    """All times on one clock, in seconds.

    Attributes:
        onset: the first sample of the interrupting speech left the client.
        noticed: `speech_likely` came by on the bus, if it did.
        started: `speech_started` came by on the bus.
        paused: the command to the worker came by.
        held: the client was told to hold.
        last_from_worker: the last frame of the turn came by on the bus.
        last_at_client: the last speech of the turn reached the client.
    """

    onset: float
    noticed: float | None
    started: float
    paused: float | None
    held: float | None
    last_from_worker: float
    last_at_client: float


async def interrupt(url: str, tap: Tap, run: int, config: SessionConfig) -> Interruption:
    """Let it speak, interrupt it with words, and see what stopped when. A session of its own."""
    async with await WebSocketClient.open(url, config) as client:
        watched = await tap.watch(client.session)
        try:
            return await _interrupt(client, watched, run)
        finally:
            await watched.stop()


async def _interrupt(client: WebSocketClient, watched: Watched, run: int) -> Interruption:
    await client.say(LONG_REPLY)
    turn = (await client.event(StateChanged, lambda m: m.state == "SPEAKING")).turn
    await client.speech(turn=turn, frames=_FRAMES_BEFORE)
    await asyncio.sleep(run * 7 % 20 / 1000)  # interruptions come at any phase of the 20 ms grid
    since = client.mark()
    words = interrupting_words()
    first = client.microphone.say(words[run % len(words)])
    await client.event(StateChanged, lambda m: m.state == "LISTENING", since=since)
    await asyncio.sleep(_QUIET_S)
    onset = client.microphone.left_at(first)
    started = watched.first(SpeechStarted, after=onset)
    if started is None:
        raise RuntimeError("the interruption was not noticed on the bus")
    noticed = watched.first(SpeechLikely, after=onset)
    paused = watched.first(Pause, after=onset)
    return Interruption(
        onset=onset,
        noticed=noticed[0] if noticed else None,
        started=started[0],
        paused=paused[0] if paused else None,
        held=next((t.at for t in client.told[since:] if isinstance(t.message, Hold)), None),
        last_from_worker=_last(watched.frames_of(turn)),
        last_at_client=_last(client.frames_of(turn)),
    )


def _last(frames: "Iterable[SeenFrame | Received]") -> float:
    return max(frame.at for frame in frames)


async def interruptions(
    url: str, nats_url: str, *, runs: int, sessions: int, tentative_hold: bool = True
) -> list[Interruption]:
    """`runs` interruptions in each of `sessions` conversations side by side."""
    interrupting_words()
    config = SessionConfig(tentative_hold=tentative_hold)
    tap = await Tap.connect(nats_url)

    async def one_caller(caller: int) -> list[Interruption]:
        return [await interrupt(url, tap, run * sessions + caller, config) for run in range(runs)]

    try:
        callers = await asyncio.gather(*(one_caller(caller) for caller in range(sessions)))
    finally:
        await tap.close()
    return [interruption for caller in callers for interruption in caller]
