"""Onset to silence: first sample of the interrupting speech leaves a real client → last speech that it receives.

Callers over WebSocket and over WebRTC (aiortc, timed at the arrival of RTP packets), each in a process of its own.
A WebSocket client keeps a buffer of its own and obeys `hold`; when that message comes is given too.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from protocol.conversation import Hold, SessionConfig, StateChanged
from protocol.ports import Pcm
from tests.bench.caller import TRANSPORTS, Transport, audible_times, call_at_once, connect, left_at, until
from tests.bench.interruption import LONG_REPLY, interrupting_words
from tests.bench.options import Options, Target
from tests.bench.results import Findings

RUNS = 10
SESSIONS = (1, 3)
_AUDIBLE_FRAMES_BEFORE: Final = 40
_QUIET_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    transport: Transport
    words: tuple[Pcm, ...]
    runs: int
    caller: int


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """At 1 and 3 callers."""
    words = interrupting_words()
    for transport in TRANSPORTS:
        for sessions in options.sessions or SESSIONS:
            runs = options.runs or RUNS
            jobs = [_Job(target.url, transport, words, runs, caller) for caller in range(sessions)]
            for caller in await call_at_once(_caller, jobs):
                for silence, hold in caller:
                    findings.add(f"{transport}_{sessions}_sessions_onset_to_silence", silence)
                    findings.add(f"{transport}_{sessions}_sessions_onset_to_hold_told", hold)


async def _caller(begin_at: float, job: _Job) -> list[tuple[float, float | None]]:
    await until(begin_at)
    return [await _interrupt(job, run) for run in range(job.runs)]


async def _interrupt(job: _Job, run: int) -> tuple[float, float | None]:
    async with await connect(job.transport, job.url, SessionConfig()) as client:
        await client.say(LONG_REPLY)
        await client.until(lambda: len(audible_times(client)) >= _AUDIBLE_FRAMES_BEFORE or None)
        await asyncio.sleep((run * 7 + job.caller * 3) % 20 / 1000)  # interruptions come at any phase of the 20 ms grid
        since = client.mark()
        first = client.microphone.say(job.words[run % len(job.words)])
        await client.event(StateChanged, lambda m: m.state == "LISTENING", since=since)
        await asyncio.sleep(_QUIET_S)
        onset = await left_at(client, first)
        told = next((t.at for t in client.told[since:] if isinstance(t.message, Hold)), None)
        last = max(at for at in audible_times(client) if at < onset + _QUIET_S)
        return (last - onset) * 1000, None if told is None else (told - onset) * 1000
