"""Swap: the voice is changed while a turn sounds; how long is the silence until the next turn begins in the new voice?

At a WebSocket client: last frame of one turn → first frame of the next, two texts following each other without a pause.
Compared with the same voice going on; with the new one in memory and not; and, speaking on in the old voice meanwhile,
how long after the request the first turn is spoken in the new one.
"""

import asyncio
import time
from typing import Final

from protocol.conversation import Accepted, CloseSession, Configure, SessionConfig, TurnMeasured
from protocol.ids import ModelId
from protocol.routing import WhenCold
from protocol.subjects import worker
from protocol.workers import UnloadModel, WorkerDescribed
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient

RUNS = 5
HIBARI: Final = ModelId("hibari-heart")
PIPER: Final = ModelId("piper-joe")
FIRST: Final = "The boats come back one after another with what the night has given."
SECOND: Final = "People stand on the pier and wait."
_FRAMES_BEFORE: Final = 30
_MOST_TURNS: Final = 40
_TRIES: Final = 100
"""Until the session before has let go of the model."""


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """One pair of voices after the other."""
    tap = await Tap.connect(target.nats_url)
    try:
        for _ in range(options.runs or RUNS):
            for before, after in ((HIBARI, HIBARI), (PIPER, PIPER), (HIBARI, PIPER), (PIPER, HIBARI)):
                name = f"{before}_goes_on" if before == after else f"{before}_to_{after}_resident"
                findings.add(f"{name}_gap", await gap_ms(target.url, before, after))
            await unload(tap, PIPER)
            findings.add(f"{HIBARI}_to_{PIPER}_loaded_first_gap", await gap_ms(target.url, HIBARI, PIPER, "wait"))
            await unload(tap, PIPER)
            await _meanwhile(target.url, findings)
    finally:
        await tap.close()


async def gap_ms(url: str, before: ModelId, after: ModelId, when_cold: WhenCold = "fallback") -> float:
    """Beyond the 20 ms between any two frames it may be negative: frames come up to 60 ms before they are due."""
    async with await WebSocketClient.open(url, SessionConfig(voice=before)) as client:
        await client.say(FIRST)
        await client.say(SECOND)
        await client.speech(turn=1, frames=_FRAMES_BEFORE)
        if after != before:
            await client.tell(Configure(config=SessionConfig(voice=after, when_cold=when_cold)))
            await client.event(Accepted)
        second = await client.whole_turn(2, timeout_s=60)
        await _voiced(client, 2, after)
        await client.tell(CloseSession())
        return (second[0].at - client.frames_of(1)[-1].at) * 1000


async def _meanwhile(url: str, findings: Findings) -> None:
    """Short texts without a pause, until one of them comes in the new voice."""
    async with await WebSocketClient.open(url, SessionConfig(voice=HIBARI)) as client:
        await client.say(SECOND)
        await client.say(SECOND)
        await client.speech(turn=1)
        since = time.monotonic()
        await client.tell(Configure(config=SessionConfig(voice=PIPER)))
        for turn in range(2, _MOST_TURNS):
            await client.speech(turn=turn, timeout_s=60)
            await client.say(SECOND)
            last, first = client.frames_of(turn - 1)[-1].at, client.frames_of(turn)[0].at
            voice = await _voiced(client, turn)
            findings.add(f"{HIBARI}_while_{PIPER}_loads_gap", (first - last) * 1000)
            if voice == PIPER:
                findings.add(f"{PIPER}_heard_after", (first - since) * 1000)
                break
        await client.tell(CloseSession())


async def _voiced(client: WebSocketClient, turn: int, expected: ModelId | None = None) -> str:
    """Whose voice a turn is in."""
    measured = await client.event(TurnMeasured, lambda m: m.turn == turn)
    if expected is not None and measured.voice != expected:
        raise RuntimeError(f"turn {turn} was spoken by {measured.voice} instead of {expected}")
    return measured.voice


async def unload(tap: Tap, model: ModelId) -> None:
    """Out of the memory of every worker that has it, as soon as nobody speaks with it."""
    for announced in await tap.workers():
        for _ in range(_TRIES if model in announced.models else 0):
            subject = worker(announced.name, "unload_model")
            if isinstance(await tap.request(subject, UnloadModel(model=model)), WorkerDescribed):
                break
            await asyncio.sleep(0.1)
