"""Idle cost: CPU of an open session in silence, all processes, in per cent of one core.

The microphones send silence, as a browser's do. The callers' own processes don't count. Needs a system of its own.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

import psutil

from protocol.conversation import SessionConfig
from tests.bench.caller import HEAD_START_S, TRANSPORTS, Transport, call_at_once, connect, until
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.e2e.system import System

SESSIONS = (3,)
SECONDS = 20.0
RUNS = 2
_SETTLE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    transport: Transport
    seconds: float


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """What the processes need with some sessions, less what they need with none, for each session."""
    if target.system is None:
        raise RuntimeError("idle looks at the system's processes: let it start a system of its own (no --url)")
    seconds = options.seconds or SECONDS
    for _ in range(options.runs or RUNS):
        empty = await cpu_percent(target.system, seconds)
        findings.add("no_session", sum(empty.values()), "% of a core")
        for transport in TRANSPORTS:
            for sessions in options.sessions or SESSIONS:
                busy = await _with_callers(target, transport, sessions, seconds)
                extra = (sum(busy.values()) - sum(empty.values())) / sessions
                findings.add(f"{transport}_per_session", extra, "% of a core")
                for part in busy:
                    share = (busy[part] - empty.get(part, 0.0)) / sessions
                    findings.add(f"{transport}_per_session_{part}", share, "% of a core")
        findings.add("memory", sum(_memory(target.system).values()), "MB")


async def _with_callers(target: Target, transport: Transport, sessions: int, seconds: float) -> dict[str, float]:
    assert target.system is not None
    callers = asyncio.create_task(
        call_at_once(_silent_caller, [_Job(target.url, transport, seconds + 2 * _SETTLE_S)] * sessions)
    )
    await asyncio.sleep(HEAD_START_S + _SETTLE_S)
    busy = await cpu_percent(target.system, seconds)
    await callers
    return busy


async def _silent_caller(begin_at: float, job: _Job) -> None:
    async with await connect(job.transport, job.url, SessionConfig()):
        await until(begin_at + job.seconds)


async def cpu_percent(system: System, seconds: float) -> dict[str, float]:
    """What each part needs, in per cent of one core, over so many seconds."""
    before, begin = _cpu_seconds(system), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = _cpu_seconds(system), time.monotonic() - begin
    return {part: 100 * (after[part] - before.get(part, 0.0)) / took for part in after}


def _cpu_seconds(system: System) -> dict[str, float]:
    used: dict[str, float] = {}
    names = {process.pid: name for name, process in system.parts().items()}
    for process in system.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            name = names.get(process.pid, "up")
            used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def _memory(system: System) -> dict[int, float]:
    return {p.pid: p.memory_info().rss / 1e6 for p in system.processes()}
