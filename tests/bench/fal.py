"""First audio latency: text reaches the worker → first frame with an audible sample leaves it.

The bench speaks to the workers itself, over their streaming interface, so that the text is a sentence of 12 words.
"""

import asyncio
import secrets
import time
from typing import Final

from protocol.audio import SPEECH_RATE
from protocol.errors import Refused
from protocol.ids import ModelId, SessionId, TurnId, WorkerName
from protocol.speaking import EndSpeaking, SpeakingReady, StartSpeaking, Stop, TextChunk
from protocol.subjects import tts_command
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap, Watched
from tests.clients.sound import as_samples, is_audible

RUNS = 20
_LIMIT_S: Final = 10.0
_PAUSE_S: Final = 0.1
SENTENCES: Final = (
    "The train to the coast leaves every morning at a quarter past eight.",
    "She had forgotten how bright the winter sun could be after snow fell.",
    "Most people in the village still remember when the old bridge was built.",
    "You can find the keys in the small drawer beside the kitchen door.",
    "Nobody expected that the smallest boat would reach the island before the others.",
    "He reads one chapter of the same long book every night before sleeping.",
)


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """For each model of each worker, one sentence at a time."""
    tap = await Tap.connect(target.nats_url)
    try:
        for worker in await tap.workers():
            for model in worker.models if worker.kind == "tts" else ():
                if not options.voices or model in options.voices:
                    await _measure_model(tap, worker.name, model, options.runs or RUNS, findings)
    finally:
        await tap.close()


async def _measure_model(tap: Tap, worker: WorkerName, model: ModelId, runs: int, findings: Findings) -> None:
    session = SessionId(f"bench-{secrets.token_hex(4)}")
    watched = await tap.watch(session)
    ready = await tap.request(tts_command(session, worker, "start"), StartSpeaking(session=session, model=model))
    if not isinstance(ready, SpeakingReady):
        raise Refused("no-voice", f"{worker} does not speak {model}: {ready}")
    for run in range(runs + 1):
        turn = TurnId(run + 1)
        began = time.monotonic()
        text = TextChunk(session=session, turn=turn, index=0, text=SENTENCES[run % len(SENTENCES)], last=True)
        await tap.publish(tts_command(session, worker, "text"), text)
        heard = await _first_audible(watched, turn)
        if run > 0:  # the first one may still warm something up
            findings.add(f"{model}_fal", (heard - began) * 1000)
        await tap.publish(tts_command(session, worker, "stop"), Stop(session=session, turn=turn))
        await asyncio.sleep(_PAUSE_S)
    await tap.publish(tts_command(session, worker, "end"), EndSpeaking(session=session))
    await watched.stop()


async def _first_audible(watched: Watched, turn: TurnId) -> float:
    async with asyncio.timeout(_LIMIT_S):
        while True:
            for seen in watched.frames_of(turn):
                if is_audible(as_samples(seen.frame.pcm), SPEECH_RATE):
                    return seen.at
            watched.arrived.clear()
            await watched.arrived.wait()
