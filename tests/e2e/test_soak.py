"""Three sessions in conversation for ten minutes: what must not grow does not."""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from adapters.server.embedded_nats import binary
from protocol.conversation import Heard, StateChanged
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import ROOT, System, free_port, get
from tests.e2e.test_conversation import QUESTION
from tests.speech import mm_hm, spoken

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("ANTIPHON_SOAK_SECONDS", "600"))
SESSIONS = 3
_GROWTH_MB = 10.0
"""Of each process in the second half: 2 MB a minute. Allocators keep what they were given: Whisper's memory alone,
without us, takes up to 90 MB in its first 100 clips in a few steps and nothing in the next 300. A leak goes on."""
_REST_S = 5.0
_COUNTS = re.compile(r"^(antiphon_(?:loop_tasks|sessions)) ([\d.e+]+)$", re.MULTILINE)


@dataclass(slots=True)
class Footprint:
    """What the system holds, by part."""

    memory_mb: dict[str, float] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    subscribed: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Watched:
    """A system on a NATS server that tells how many subscriptions it has."""

    system: System
    monitor_port: int

    def subscriptions(self) -> int:
        """Of all parts."""
        return int(json.loads(get(self.monitor_port, "/subsz")[1])["num_subscriptions"])

    def subscribed(self) -> list[str]:
        """Whose they are and to what, but for the server's own."""
        connections = json.loads(get(self.monitor_port, "/connz?subs=1")[1])["connections"]
        return sorted(f"{c.get('name')}: {subject}" for c in connections for subject in c.get("subscriptions_list", []))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """With a server of its own, because the embedded one has no monitoring."""
    port, monitor = free_port(), free_port()
    command = [str(binary()), "-c", str(ROOT / "nats.conf"), "-p", str(port), "-m", str(monitor)]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        while get(monitor, "/healthz")[0] != 200:
            assert server.poll() is None, "the NATS server ended"
            time.sleep(0.02)
        with System(tmp_path / "up", nats_url=f"nats://127.0.0.1:{port}") as system:
            yield Watched(system, monitor)
    finally:
        server.terminate()
        server.wait(5)


async def test_nothing_grows_in_a_long_conversation(watched: Watched, note: Callable[[str], None]) -> None:
    fresh = await _at_rest(watched)
    turns = await _converse(watched.system, SECONDS / 2)
    begin = await _at_rest(watched)
    turns += await _converse(watched.system, SECONDS / 2)
    end = await _at_rest(watched)
    for when, footprint in (("fresh", fresh), ("half-way", begin), ("end", end)):
        note(f"{when}: {footprint}")
    note(f"{turns} turns of {SESSIONS} sessions in {SECONDS:.0f} s")

    assert turns > SECONDS / 20 * SESSIONS / 2, "the conversations went on"
    for part, megabytes in end.memory_mb.items():
        assert megabytes - begin.memory_mb[part] < _GROWTH_MB, f"memory of {part}"
    assert end.threads == begin.threads
    assert end.files == begin.files
    assert end.counts == begin.counts, set(end.subscribed) ^ set(begin.subscribed)
    assert set(end.counts) == {"antiphon_loop_tasks", "antiphon_sessions", "subscriptions"}


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


async def _at_rest(watched: Watched) -> Footprint:
    """After everything of closed sessions had time to go."""
    await asyncio.sleep(_REST_S)
    system, found = watched.system, Footprint()
    for name, process in system.parts().items():
        with process.oneshot():
            found.memory_mb[name] = round(process.memory_info().rss / 1e6, 1)
            found.threads[name] = process.num_threads()
            found.files[name] = process.num_fds()
    found.memory_mb["up"] = round(psutil.Process(system.process.pid).memory_info().rss / 1e6, 1)
    found.counts["subscriptions"] = watched.subscriptions()
    found.subscribed = watched.subscribed()
    found.counts.update({name: float(value) for name, value in _COUNTS.findall(system.get("/metrics")[1])})
    return found
