import asyncio

import pytest

from actors.pulse import PULSE_MS, Pulsing
from protocol.ids import UnixMicros, WorkerName
from protocol.subjects import worker_event
from protocol.workers import Pulse
from tests.fakes.bus import FakeBus

NAME = WorkerName("tts-hibari-0")


@pytest.mark.realtime
async def test_a_worker_pulses_from_the_start_to_the_end() -> None:
    bus = FakeBus()
    loop = asyncio.get_running_loop()
    came: list[float] = []
    third = asyncio.Event()

    def on_pulse(*_: object) -> None:
        came.append(loop.time())
        if len(came) == 3:
            third.set()

    await bus.subscribe(worker_event(NAME), on_pulse)
    with Pulsing(bus, NAME, UnixMicros(7)):
        await asyncio.wait_for(third.wait(), 10)
    assert bus.said(Pulse) == [Pulse(worker=NAME, started_at=UnixMicros(7))] * 3
    assert came[2] - came[0] >= 2 * PULSE_MS / 1000 - 0.02


async def test_nothing_is_said_while_the_bus_is_down() -> None:
    bus = FakeBus()
    bus.disconnect()
    with Pulsing(bus, NAME, UnixMicros(7)):
        await bus.settle()
    bus.reconnect()
    await bus.settle()
    assert bus.said(Pulse) == []
