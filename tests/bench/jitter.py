"""Frame jitter: deviation of departures from their 20 ms grid while sessions speak, and the gaps between frames.

Taken where frames leave the worker (an observer on the bus) and where they reach a WebSocket client. The grid of a turn
is the one that its frames fit best, in the median; the first 300 ms, sent in advance, are left out.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from protocol.audio import FRAME_MS
from protocol.conversation import SessionConfig
from tests.bench.interruption import LONG_REPLY
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient

RUNS = 2
SESSIONS = (1, 3)
_AHEAD: Final = 15
"""Frames that a worker or a gateway may have sent at once, in advance."""


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """At 1 and 3 sessions that all speak at once, some 15 s each."""
    tap = await Tap.connect(target.nats_url)
    try:
        for sessions in options.sessions or SESSIONS:
            for _ in range(options.runs or RUNS):
                speakers = (_speak(target.url, tap, sessions, findings) for _ in range(sessions))
                await asyncio.gather(*speakers)
    finally:
        await tap.close()


async def _speak(url: str, tap: Tap, sessions: int, findings: Findings) -> None:
    async with await WebSocketClient.open(url, SessionConfig()) as client:
        watched = await tap.watch(client.session)
        await client.say(LONG_REPLY)
        received = await client.whole_turn(1, timeout_s=60)
        await watched.stop()
        for place, times in (
            ("worker", [seen.at for seen in watched.frames_of(1)]),
            ("client", [one.at for one in received]),
        ):
            for deviation in deviations_ms(times):
                findings.add(f"{sessions}_sessions_{place}_jitter", deviation)
            for gap in np.diff(times[_AHEAD:]):
                findings.add(f"{sessions}_sessions_{place}_gap", float(gap) * 1000)


def deviations_ms(times: Sequence[float]) -> list[float]:
    """How far each departure is from the grid that fits best."""
    steady = np.asarray(times[_AHEAD:]) * 1000
    off = steady - np.arange(len(steady)) * FRAME_MS
    return [float(d) for d in np.abs(off - np.median(off))]
