"""What all parts have in common, each in a process of its own."""

import io
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from actors.bootstrap.lean import without
from actors.bootstrap.narrator import Narrator

SOON_S = 20.0
OBEDIENT = "await stop.wait()"
DEAF = "await stop.wait(); await asyncio.sleep(60)"


def a_part(what_it_does: str) -> "subprocess.Popen[str]":
    """Runs until told to stop; returns once it is up."""
    program = (
        "import asyncio\n"
        "from actors.bootstrap.process import run_part\n"
        "from actors.bootstrap.ready import say_ready\n"
        "async def main(stop):\n"
        "    say_ready('part', type(asyncio.get_running_loop()).__module__)\n"
        f"    {what_it_does}\n"
        "run_part('part', main)\n"
    )
    part = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert part.stdout is not None
    assert part.stdout.readline() == "ready: part uvloop\n"
    return part


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_part_in_order(number: signal.Signals) -> None:
    part = a_part(OBEDIENT)
    part.send_signal(number)
    assert part.wait(SOON_S) == 0


@pytest.mark.realtime
def test_a_part_that_does_not_come_to_an_end_is_ended_within_three_seconds() -> None:
    part = a_part(DEAF)
    began = time.monotonic()
    part.terminate()
    part.wait(SOON_S)
    assert time.monotonic() - began < 3


def test_a_second_signal_ends_it_at_once() -> None:
    part = a_part(DEAF)
    part.terminate()
    while part.poll() is None:
        part.terminate()  # the first and the second may arrive as one
        with suppress(subprocess.TimeoutExpired):
            part.wait(0.05)
    assert part.returncode == 1


def test_an_import_can_be_hidden_and_is_there_again_afterwards() -> None:
    sys.modules.pop("colorsys", None)
    with without("colorsys"), pytest.raises(ImportError):
        import_module("colorsys")
    there = import_module("colorsys")
    with without("colorsys"):
        assert import_module("colorsys") is there, "who has it already keeps it"


def test_what_happens_is_told_in_one_line_each() -> None:
    output = io.StringIO()
    narrator = Narrator(clock=lambda: 3.5, began=1.0)
    narrator._console = Console(file=output, highlight=False, width=200)
    narrator.ready("asr", "whisper-tiny-en", 1.24)
    narrator.lost("asr", "killed by signal 9", 0.1)
    narrator.ready("asr", "whisper-tiny-en", 0.8)
    narrator.usable("http://127.0.0.1:8700/", Path("/data"))
    assert [line.strip() for line in output.getvalue().splitlines() if line.strip()] == [
        "✓ asr          ready after 1.2 s   whisper-tiny-en",
        "! asr          killed by signal 9; starting it again in 0.1 s",
        "✓ asr          back after 0.8 s   whisper-tiny-en",
        "Talk with it at http://127.0.0.1:8700/",
        "Ready after 2.5 s. Logs: /data/logs. Ctrl-C ends it.",
    ]
