"""What every part has in common: a loop, signals, a line when it is ready, an exit status."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from actors.logs import configure_logging

_END_WITHIN_S: Final = 2.5

Main = Callable[[asyncio.Event], Awaitable[None]]


def run_part(part: str, main: Main, *, log_level: str = "info") -> None:
    """Run `main` on uvloop until it returns; SIGINT and SIGTERM set the event that it gets.

    A second signal, or 2.5 s, end the process whatever it does: a model that computes takes no hints. A regular end
    skips the interpreter's own, too: threads of native libraries crash when it pulls the rug from under them.

    Raises:
        AntiphonError: what made the part end.
    """
    configure_logging(log_level, part=part)
    uvloop.run(_until_stopped(main))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _until_stopped(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()
        _end_by_force_after(_END_WITHIN_S)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    await main(stop)


def _end_by_force_after(seconds: float) -> None:
    def end() -> None:
        time.sleep(seconds)
        os._exit(0)

    threading.Thread(target=end, name="end-by-force", daemon=True).start()
