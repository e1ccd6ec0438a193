"""Pulse: how long a worker pauses between two pulses, as an observer on the bus sees it.

At rest; while sessions speak and are interrupted; while the workers themselves load a model again and again, sessions
speaking; while a whole worker process starts beside them; and while other programs want twice the machine's cores.
What is longer than the limit would be a false alarm.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Final

import psutil
from nats.aio.msg import Msg

from protocol.conversation import SessionConfig
from protocol.subjects import worker, worker_event
from protocol.workers import ListModels, LoadModel, ModelsListed, UnloadModel
from tests.bench.interruption import LONG_REPLY, interrupt, interrupting_words
from tests.bench.options import Options, Target
from tests.bench.results import Findings
from tests.bench.tap import Tap
from tests.clients.websocket import WebSocketClient
from tests.e2e.beside import Beside

RUNS = 5
SECONDS: Final = 15.0
SESSIONS: Final = 3


class Pulses:
    """When each worker was heard."""

    def __init__(self) -> None:
        self.gaps: dict[str, list[float]] = defaultdict(list)
        self._last: dict[str, float] = {}

    async def on_pulse(self, msg: Msg) -> None:
        """Called by the observer's connection."""
        now, name = time.monotonic(), msg.subject.split(".")[2]
        if name in self._last:
            self.gaps[name].append((now - self._last[name]) * 1000)
        self._last[name] = now


async def measure(target: Target, options: Options, findings: Findings) -> None:
    """One kind of load after the other."""
    interrupting_words()
    tap = await Tap.connect(target.nats_url)
    pulses = Pulses()
    await tap.client.subscribe(worker_event(), cb=pulses.on_pulse)
    seconds, runs = options.seconds or SECONDS, options.runs or RUNS
    try:
        await asyncio.sleep(seconds)
        _note("at_rest", pulses, findings)
        async with _speakers(target.url):
            for run in range(runs):
                await interrupt(target.url, tap, run, SessionConfig())
            _note("speaking", pulses, findings)
            for _ in range(runs):
                await _load_anew(tap)
            _note("loading", pulses, findings)
            for run in range(runs):
                await asyncio.to_thread(_start_and_end_another, target.nats_url, f"tts-beside-{run}")
            _note("starting_beside", pulses, findings)
            with _busy_programs():
                await asyncio.sleep(seconds)
            _note("machine_overloaded", pulses, findings)
    finally:
        await tap.close()


def _start_and_end_another(nats_url: str, name: str) -> None:
    with Beside.tts(nats_url, "hibari", name=name):
        pass


@contextlib.contextmanager
def _busy_programs() -> Iterator[None]:
    """That compute without end."""
    programs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (psutil.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


@contextlib.asynccontextmanager
async def _speakers(url: str) -> AsyncIterator[None]:
    """Sessions that speak all the time."""

    async def speak() -> None:
        async with await WebSocketClient.open(url, SessionConfig()) as client:
            turn = 0
            while True:
                turn += 1
                await client.say(LONG_REPLY)
                await client.whole_turn(turn, timeout_s=120)
                client.received.clear()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(speak()) for _ in range(SESSIONS)]
        yield
        for task in tasks:
            task.cancel()


def _note(load: str, pulses: Pulses, findings: Findings) -> None:
    for name in sorted(pulses.gaps):
        if "beside" not in name:
            for gap in pulses.gaps[name]:
                findings.add(f"{load}_{name}", gap)
    pulses.gaps.clear()


async def _load_anew(tap: Tap) -> None:
    """Every TTS worker gives back what nobody uses, and loads all that it has."""
    for announced in await tap.workers():
        if announced.kind != "tts":
            continue
        listed = await tap.request(worker(announced.name, "list_models"), ListModels())
        models = [m.model for m in listed.models] if isinstance(listed, ModelsListed) else list(announced.models)
        for model in models:
            await tap.request(worker(announced.name, "unload_model"), UnloadModel(model=model))
            await tap.request(worker(announced.name, "load_model"), LoadModel(model=model), timeout_s=60)
