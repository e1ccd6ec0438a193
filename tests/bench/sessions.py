"""Sessions: how the interruption and the jitter fare when many sessions speak at once, over WebSocket.

All but one speak all the time, their microphones open and silent; one is interrupted again and again. The voice is the
real default one. Starts a system of its own whose limits allow so many.
"""

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocol.conversation import SessionConfig
from tests.bench.idle import cpu_percent
from tests.bench.interruption import LONG_REPLY, interrupting_words, interruptions
from tests.bench.jitter import deviations_ms
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System

RUNS = 5
SESSIONS = (3, 10, 30)
STARTS_ITSELF = True
_LIMITS: Final = ("ANTIPHON_MAX_SESSIONS", "ANTIPHON_TTS_MAX_SESSIONS", "ANTIPHON_ASR_MAX_SESSIONS")
_ENOUGH: Final = dict.fromkeys(_LIMITS, "200")
_TURN_LIMIT_S: Final = 120.0
_SPREAD_S: Final = 10.0
"""Over which the first turns begin: people do not speak in chorus."""
_CPU_S: Final = 10.0


async def measure(_target: Target | None, options: Options, findings: Findings) -> None:
    """One number of sessions after the other."""
    interrupting_words()
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), environment=_ENOUGH) as system:
        for sessions in options.sessions or SESSIONS:
            await _measure(system, sessions, options.runs or RUNS, findings)


async def _measure(system: System, sessions: int, runs: int, findings: Findings) -> None:
    name = f"{sessions}_sessions"
    async with _speakers(system.url, sessions - 1) as speakers:
        await asyncio.gather(*(speaker.speaks.wait() for speaker in speakers))
        for part, used in (await cpu_percent(system, _CPU_S)).items():
            findings.add(f"{name}_cpu_{part}", used, "% of a core")
        for it in await interruptions(system.url, system.nats_url, runs=runs, sessions=1):
            findings.add(f"{name}_pause", max(0.0, it.last_from_worker - it.started) * 1000)
            findings.add(f"{name}_gate", (it.last_at_client - it.started) * 1000)
            findings.add(f"{name}_onset_to_silence", (it.last_at_client - it.onset) * 1000)
        await asyncio.gather(*(speaker.spoke.wait() for speaker in speakers))
    for speaker in speakers:
        for turn in speaker.turns:
            for deviation in deviations_ms(turn):
                findings.add(f"{name}_client_jitter", deviation)


@dataclass(slots=True)
class _Speaker:
    """A session that speaks without end.

    Attributes:
        speaks: its first frame came.
        spoke: its first turn is whole.
        turns: when each frame came of each whole turn.
    """

    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    turns: list[list[float]] = field(default_factory=list)

    async def run(self, url: str, begin_after_s: float) -> None:
        """Until cancelled."""
        await asyncio.sleep(begin_after_s)
        async with await WebSocketClient.open(url, SessionConfig()) as client:
            for turn in itertools.count(1):
                await client.say(LONG_REPLY)
                await client.speech(turn=turn)
                self.speaks.set()
                self.turns.append([r.at for r in await client.whole_turn(turn, timeout_s=_TURN_LIMIT_S)])
                self.spoke.set()
                client.received.clear()


@contextlib.asynccontextmanager
async def _speakers(url: str, count: int) -> AsyncIterator[list[_Speaker]]:
    """So many of them; the first that fails ends them all."""
    speakers = [_Speaker() for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run(url, _SPREAD_S * n / count)) for n, one in enumerate(speakers)]
        yield speakers
        for task in tasks:
            task.cancel()
