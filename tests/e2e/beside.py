"""A worker of its own beside `antiphon up`, started as an operator does it on another host: `antiphon serve tts`."""

import signal
import subprocess
import threading
import time
from types import TracebackType
from typing import Final, Self

from tests.e2e.system import ROOT, START_LIMIT_S, antiphon, plain_environment

_POLL_S: Final = 0.02
_END_LIMIT_S: Final = 20.0


class Beside:
    """The process, from the moment it says that it is ready until the context ends."""

    def __init__(
        self, nats_url: str, kind: str, *options: str, name: str, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            antiphon("serve", kind, "--nats", nats_url, "--name", name, *options),
            cwd=ROOT,
            env={**plain_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def tts(cls, nats_url: str, family: str, *, name: str, environment: dict[str, str] | None = None) -> Self:
        """A voice."""
        return cls(nats_url, "tts", "--family", family, name=name, environment=environment)

    @classmethod
    def asr(cls, nats_url: str, *, name: str) -> Self:
        """An ear."""
        return cls(nats_url, "asr", name=name)

    def wait_until_ready(self) -> Self:
        """Return once it is announced. Blocks.

        Raises:
            RuntimeError: with everything it printed.
        """
        limit = time.monotonic() + START_LIMIT_S
        while not any(line.startswith("ready:") for line in self._lines):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.kill()
                raise RuntimeError(f"{self.name} did not become ready:\n{self.output()}")
            time.sleep(_POLL_S)
        return self

    def output(self) -> str:
        """Everything it printed so far."""
        return "".join(self._lines)

    def kill(self) -> None:
        """As a crash does."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Hang it."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Its exit status, once it has ended by itself. Blocks."""
        return self.process.wait(_END_LIMIT_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    def __enter__(self) -> Self:
        return self.wait_until_ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(_END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
