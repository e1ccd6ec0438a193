"""What closed sessions leave in memory: `python -m tests.bench.remains --rounds 8`.

Each round four callers hold six short conversations each, one after the other: a question, and an "mm-hm" or a "wait"
over the answer. Then each part's resident memory is printed, in MB. Nothing is collected by force.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Final

from protocol.conversation import Heard, StateChanged
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System
from tests.speech import mm_hm, spoken

CALLERS: Final = 4
CALLS: Final = 6
_REST_S: Final = 4.0
"""Closed sessions take their time to say goodbye."""


async def _call(url: str, *, agrees: bool) -> None:
    async with await WebSocketClient.open(url) as client:
        since = client.mark()
        client.microphone.say(spoken("Is there a good place to eat?"))
        await client.event(StateChanged, lambda m: m.state == "SPEAKING", since=since, timeout_s=30)
        client.microphone.say(mm_hm() if agrees else spoken("Wait, stop please."))
        await client.event(Heard, since=since, timeout_s=30)


async def _caller(url: str, number: int) -> None:
    for call in range(CALLS):
        await _call(url, agrees=bool((call + number) % 2))


async def _rounds(system: System, rounds: int) -> None:
    for number in range(rounds + 1):
        held = {name: round(process.memory_info().rss / 1e6, 1) for name, process in system.parts().items()}
        print(number * CALLERS * CALLS, "sessions:", held, flush=True)  # noqa: T201  # this is a command
        if number < rounds:
            await asyncio.gather(*(_caller(system.url, caller) for caller in range(CALLERS)))
            await asyncio.sleep(_REST_S)


def main() -> None:
    """Read the command line, start a system, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="of 24 sessions (default: 8)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        asyncio.run(_rounds(system, options.rounds))


if __name__ == "__main__":
    main()
