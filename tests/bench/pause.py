"""Pause latency: `speech_started` published → last frame that leaves the worker.

Both as an observer on the bus sees them; 0 when the last frame had left before. With the tentative hold, which closes
the gate 32 ms before `speech_started`, and without it.
"""

from tests.bench.interruption import TENTATIVE, interruptions
from tests.bench.options import Options, Target
from tests.bench.results import Findings

RUNS = 10
SESSIONS = (1, 3)


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """At 1 and 3 sessions."""
    runs = options.runs or RUNS
    for sessions in options.sessions or SESSIONS:
        for suffix, hold in TENTATIVE.items():
            found = await interruptions(target.url, target.nats_url, runs=runs, sessions=sessions, tentative_hold=hold)
            for it in found:
                findings.add(f"{sessions}_sessions_pause{suffix}", max(0.0, it.last_from_worker - it.started) * 1000)
