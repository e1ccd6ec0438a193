"""Exact resume: the samples heard around PAUSE and RESUME against what the worker rendered, and an uninterrupted run.

A noise of half a second, then a hummed "mm-hm", come in over a reply that must go on as if nothing had been.
"""

import asyncio
from typing import Final

import numpy as np

from protocol.conversation import SessionConfig, StateChanged
from protocol.ports import Pcm
from tests.bench.interruption import LONG_REPLY
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap, Watched
from tests.clients.sound import Pcm16, as_samples
from tests.clients.websocket import WebSocketClient, samples_of
from tests.speech import mm_hm, noise

RUNS = 5
_FRAMES_BEFORE: Final = 60


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """In one session at a time."""
    tap = await Tap.connect(target.nats_url)
    disturbances = (mm_hm(), noise(0.5, level=0.1))
    try:
        uninterrupted, _, _ = await speak(target.url, tap, None)
        for run in range(options.runs or RUNS):
            heard, rendered, pauses = await speak(target.url, tap, disturbances[run % len(disturbances)])
            findings.add("pauses", pauses, "times")
            findings.add("lost", missing(heard, rendered), "samples")
            findings.add("repeated", max(0, len(heard) - len(rendered)), "samples")
            findings.add("different_from_worker", differing(heard, rendered), "samples")
            findings.add("different_from_uninterrupted", differing(heard, uninterrupted), "samples")
    finally:
        await tap.close()


async def speak(url: str, tap: Tap, disturbance: Pcm | None) -> tuple[Pcm16, Pcm16, int]:
    """A reply, disturbed or not: what the client heard, what the worker rendered, and how often it was held."""
    async with await WebSocketClient.open(url, SessionConfig(barge_in="resume_on_silence")) as client:
        watched = await tap.watch(client.session)
        await client.say(LONG_REPLY)
        if disturbance is not None:
            await client.speech(turn=1, frames=_FRAMES_BEFORE)
            client.microphone.say(disturbance)
        heard = samples_of(await client.whole_turn(1, timeout_s=60))
        await asyncio.sleep(0)
        held = sum(m.state == "BARGED_IN" for m in client.events(StateChanged))
        await watched.stop()
        return heard, rendered_by_worker(watched, 1), held


def rendered_by_worker(watched: Watched, turn: int) -> Pcm16:
    """The worker's frames of a turn by sample position; what it sent twice counts once."""
    by_position = {seen.frame.position: seen.frame.pcm for seen in watched.frames_of(turn)}
    return np.concatenate([as_samples(by_position[position]) for position in sorted(by_position)])


def missing(heard: Pcm16, rendered: Pcm16) -> int:
    """How many samples fewer were heard than rendered."""
    return max(0, len(rendered) - len(heard))


def differing(heard: Pcm16, other: Pcm16) -> int:
    """How many samples are not the same, place by place."""
    both = min(len(heard), len(other))
    return int(np.count_nonzero(heard[:both] != other[:both])) + abs(len(heard) - len(other))
