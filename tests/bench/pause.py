"""Pause latency: `speech_started` published → last frame that leaves the worker.

Both as an observer on the bus sees them; 0 when the last frame had left before.
"""

from tests.bench.interruption import interruptions
from tests.bench.options import Options, Target
from tests.bench.results import Findings

RUNS = 10
SESSIONS = (1, 3)


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """At 1 and 3 sessions."""
    for sessions in options.sessions or SESSIONS:
        found = await interruptions(target.url, target.nats_url, runs=options.runs or RUNS, sessions=sessions)
        for it in found:
            findings.add(f"{sessions}_sessions_pause", max(0.0, it.last_from_worker - it.started) * 1000)
            command = None if it.paused is None else (it.paused - it.started) * 1000
            findings.add(f"{sessions}_sessions_pause_command", command)
