"""The TTS workers of one system, by name: to be killed, hung and woken, wherever they were started."""

import signal
import time

import psutil

from protocol.ids import WorkerName
from tests.e2e.beside import Beside
from tests.e2e.system import System


class Voices:
    """Those that `up` keeps, and those beside it. Other systems on this machine have workers of the same names."""

    def __init__(self, system: System, *beside: Beside) -> None:
        self._system = system
        self._beside = beside

    def process(self, worker: WorkerName) -> psutil.Process:
        """The one that serves under this name.

        Raises:
            LookupError: there is none.
        """
        beside = [psutil.Process(one.process.pid) for one in self._beside if one.process.poll() is None]
        for process in (*beside, *self._system.processes()):
            command = process.cmdline()
            if "serve" in command and "tts" in command and _name(command) == worker:
                return process
        raise LookupError(f"nobody serves as {worker}")

    def kill(self, worker: WorkerName) -> float:
        """As a crash does; returns when."""
        process, at = self.process(worker), time.monotonic()
        process.kill()
        return at

    def hang(self, worker: WorkerName) -> float:
        """Returns when."""
        process, at = self.process(worker), time.monotonic()
        process.send_signal(signal.SIGSTOP)
        return at

    def wake(self, worker: WorkerName) -> None:
        """Let it go on."""
        self.process(worker).send_signal(signal.SIGCONT)


def _name(command: list[str]) -> str:
    """As `serve tts` names a worker that was given none."""
    if "--name" in command:
        return command[command.index("--name") + 1]
    family = command[command.index("--family") + 1] if "--family" in command else "hibari"
    return f"tts-{family}-0"
