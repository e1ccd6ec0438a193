"""The whole system in processes of its own, started and ended as a user does it: `antiphon up`, Ctrl-C."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]
START_LIMIT_S: Final = 60.0
RESTART_LIMIT_S: Final = 20.0
STOP_LIMIT_S: Final = 3.0
"""What `antiphon up` promises for Ctrl-C."""
_POLL_S: Final = 0.02


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of what this machine serves; 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def antiphon(*arguments: str) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-m", "actors.cli.app", *arguments]


def plain_environment() -> dict[str, str]:
    """Without what the developer has configured for herself."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}


class System:
    """`antiphon up`, running. `url` is the gateway's; `nats_url` the embedded server's, unless one is given.

    `tts` are the families of voices to start, if not those that `up` starts by itself.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        nats_url: str | None = None,
        environment: dict[str, str] | None = None,
        tts: Sequence[str] = (),
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started_at = time.monotonic()
        self._start_limit_s = start_limit_s
        self._wanted = {f"tts-{family}" for family in tts}
        self._lines: list[str] = []
        self._seen: dict[int, psutil.Process] = {}
        nats_port = free_port()
        self.nats_url = nats_url or f"nats://127.0.0.1:{nats_port}"
        server = ("--nats", nats_url) if nats_url else ("--nats-port", str(nats_port))
        families = [option for family in tts for option in ("--tts", family)]
        command = antiphon("up", "--port", str(self.port), "--data-dir", str(data_dir), *server, *families)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**plain_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> Self:
        """Return once a session could be opened and answered.

        Raises:
            RuntimeError: with everything it printed.
        """
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - self.started_at > self._start_limit_s:
                self.kill()
                raise RuntimeError(f"`antiphon up` did not become ready:\n{self.output()}")
            time.sleep(_POLL_S)
        self.parts()
        return self

    def wait_until_complete(self) -> Self:
        """Return once everything runs, the parts too without which a session could be answered.

        Raises:
            RuntimeError: with everything it printed.
        """
        self.wait_until_ready()
        while not all(
            re.search(rf"\b{part}\s+ready after", self.output()) for part in self._wanted.union(self.parts())
        ):
            if time.monotonic() - self.started_at > self._start_limit_s:
                self.kill()
                raise RuntimeError(f"`antiphon up` did not become complete:\n{self.output()}")
            time.sleep(_POLL_S)
        return self

    def is_ready(self) -> bool:
        """What `/readyz` says."""
        return self.get("/readyz")[0] == 200

    def readiness(self) -> dict[str, object]:
        """`/readyz` in words."""
        return dict(json.loads(self.get("/readyz")[1]))

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while nobody listens."""
        return get(self.port, path)

    def output(self) -> str:
        """Everything it printed so far."""
        return "".join(self._lines)

    def processes(self) -> list[psutil.Process]:
        """`up` and everything it started that is still there."""
        try:
            root = psutil.Process(self.process.pid)
            alive = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            alive = []
        self._seen.update({p.pid: p for p in alive})
        return alive

    def parts(self) -> dict[str, psutil.Process]:
        """Its children by what they are: `nats`, `gateway`, `asr`, and so on."""
        found: dict[str, psutil.Process] = {}
        for process in self.processes()[1:]:
            try:
                name = _part(process.cmdline())
            except psutil.Error:
                continue
            if name and name not in found:
                found[name] = process
        return found

    def restart(self, part: str) -> None:
        """Kill a part by force, and return once `up` says that it is back and a session could be answered.

        Raises:
            TimeoutError: with everything it printed.
        """
        said_before = self._said_back(part)
        self.parts()[part].send_signal(signal.SIGKILL)
        limit = time.monotonic() + RESTART_LIMIT_S
        while self._said_back(part) == said_before or not self.is_ready():
            if time.monotonic() > limit:
                raise TimeoutError(f"{part} did not come back: {self.get('/readyz')}\n{self.output()}")
            time.sleep(_POLL_S)

    def _said_back(self, part: str) -> int:
        return len(re.findall(rf"\b{part}\s+back after", self.output()))

    def stop(self) -> float:
        """Ctrl-C; returns how long it took.

        Raises:
            AssertionError: when something is left over, or when it took too long.
        """
        self.processes()
        begin = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_LIMIT_S + 5)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Ctrl-C did not end it:\n{self.output()}") from None
        took = time.monotonic() - begin
        left_over = [p for p in self._seen.values() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        names = [" ".join(p.cmdline()) for p in left_over]
        for process in left_over:
            process.kill()
        assert not names, f"left over after Ctrl-C: {names}"
        assert took < STOP_LIMIT_S, f"Ctrl-C took {took:.1f} s"
        return took

    def kill(self) -> None:
        """For when nothing else helps: every process we saw."""
        self.processes()
        for process in self._seen.values():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    def __enter__(self) -> Self:
        return self.wait_until_complete()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.kill()


def _part(command: list[str]) -> str | None:
    """`serve tts --family piper` is `tts-piper`."""
    if not command:
        return None
    if Path(command[0]).name == "nats-server":
        return "nats"
    if "serve" not in command:
        return None
    kind = command[command.index("serve") + 1]
    if kind == "tts" and "--family" in command:
        return f"tts-{command[command.index('--family') + 1]}"
    return kind
