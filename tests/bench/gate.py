"""Gate latency: `speech_started` published → last speech sample handed to the transport.

The last speech frame's arrival at a WebSocket client stands for the latter, so it includes the way to the client.
Negative when a tentative hold closed the gate before `speech_started`.
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
            findings.add(f"{sessions}_sessions_gate", (it.last_at_client - it.started) * 1000)
            told = None if it.held is None else (it.held - it.started) * 1000
            findings.add(f"{sessions}_sessions_hold_told", told)
