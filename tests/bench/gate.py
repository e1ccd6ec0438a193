"""Gate latency: `speech_started` published → last speech sample handed to the transport.

The last speech frame's arrival at a WebSocket client stands for the latter, so it includes the way to the client. With
the tentative hold it is negative: the gate closes 32 ms before `speech_started`. Without it, it is what it takes.
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
                findings.add(f"{sessions}_sessions_gate{suffix}", (it.last_at_client - it.started) * 1000)
                told = None if it.held is None else (it.held - it.started) * 1000
                findings.add(f"{sessions}_sessions_hold_told{suffix}", told)
