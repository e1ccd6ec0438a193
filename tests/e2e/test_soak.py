"""Three sessions in conversation for ten minutes: what must not grow does not."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import pytest

from protocol.conversation import Heard, StateChanged
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System
from tests.e2e.test_conversation import QUESTION
from tests.speech import mm_hm, spoken

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("ANTIPHON_SOAK_SECONDS", "600"))
SESSIONS = 3
_WARM_UP_S = min(60.0, SECONDS / 4)
_GROWTH_MB = 20.0
"""Of each process between the end of the warm-up and the end: allocators keep some of what they were given."""
_COUNTS = re.compile(r"^(antiphon_\w*(?:tasks|subscriptions|sessions))(?:\{[^}]*\})? ([\d.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the system holds, by part."""

    memory_mb: dict[str, float] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


async def test_nothing_grows_in_a_long_conversation(system: System, note: Callable[[str], None]) -> None:
    before_anything = await _at_rest(system)
    await _converse(system, _WARM_UP_S)
    begin = await _at_rest(system)
    turns = await _converse(system, SECONDS - _WARM_UP_S)
    end = await _at_rest(system)
    note(f"{turns} turns; before {before_anything}; warm {begin}; end {end}")

    assert turns > SECONDS / 20 * SESSIONS / 2, "the conversations went on"
    for part, megabytes in end.memory_mb.items():
        assert megabytes - begin.memory_mb[part] < _GROWTH_MB, f"memory of {part}"
    assert end.threads == begin.threads
    assert end.files == begin.files
    assert end.counts == begin.counts
    assert end.counts, "the gateway counts its tasks and subscriptions"


async def _converse(system: System, seconds: float) -> int:
    """Three callers until the time is over; returns how many replies were settled."""
    return sum(await asyncio.gather(*(_caller(system, time.monotonic() + seconds, n) for n in range(SESSIONS))))


async def _caller(system: System, until: float, number: int) -> int:
    """Ask, agree in the middle of the answer, interrupt the next one, hang up, call again."""
    turns = 0
    while time.monotonic() < until:
        async with await WebSocketClient.open(system.url) as client:
            for round_number in range(4):
                since = client.mark()
                client.microphone.say(spoken(QUESTION))
                await client.event(StateChanged, lambda m: m.state == "SPEAKING", since=since, timeout_s=20)
                if (round_number + number) % 2:
                    client.microphone.say(mm_hm())
                else:
                    client.microphone.say(spoken("Wait, stop please."))
                await client.event(Heard, since=since, timeout_s=20)
                await client.until(lambda: _has_the_floor(client), 20)
                turns += 1
    return turns


def _has_the_floor(client: WebSocketClient) -> bool | None:
    return client.events(StateChanged)[-1].state == "LISTENING" or None


async def _at_rest(system: System) -> Footprint:
    """After everything of closed sessions had time to go."""
    await asyncio.sleep(5)
    found = Footprint()
    for name, process in system.parts().items():
        with process.oneshot():
            found.memory_mb[name] = round(process.memory_info().rss / 1e6, 1)
            found.threads[name] = process.num_threads()
            found.files[name] = process.num_fds()
    found.memory_mb["up"] = round(psutil.Process(system.process.pid).memory_info().rss / 1e6, 1)
    found.counts.update({name: float(value) for name, value in _COUNTS.findall(system.get("/metrics")[1])})
    return found
