"""Cold start: `antiphon up` → a session can be opened and answered (models on disk); then Ctrl-C → everything is gone.

Starts systems of its own, each with a fresh data directory.
"""

import tempfile
import time
from pathlib import Path

from protocol.audio import SPEECH_RATE
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.clients.sound import as_samples, is_audible
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System

RUNS = 5
STARTS_ITSELF = True


async def measure(_target: Target, options: Options, findings: Findings) -> None:
    """One start after the other."""
    for _ in range(options.runs or RUNS):
        with tempfile.TemporaryDirectory() as folder:
            system = System(Path(folder)).wait_until_ready()
            ready = time.monotonic()
            findings.add("up_to_ready", (ready - system.started_at) * 1000)
            try:
                findings.add("up_to_first_audible_frame", (await _first_sound(system.url) - system.started_at) * 1000)
            finally:
                findings.add("interrupt_to_gone", system.stop() * 1000)


async def _first_sound(url: str) -> float:
    async with await WebSocketClient.open(url) as client:
        await client.say("Good morning.")
        return await client.until(
            lambda: next((r.at for r in client.received if is_audible(as_samples(r.frame.pcm), SPEECH_RATE)), None)
        )
