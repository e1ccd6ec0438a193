"""A program that runs beside us and never outlives us."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
_LOG_LIMIT_BYTES: Final = 5_000_000
_LINE_LIMIT_BYTES: Final = 1 << 20


def _bind_to_parent(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec: ask the kernel to be killed when its parent is gone.

    Linux only; elsewhere a parent that is killed by force leaves its children behind.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def bind() -> None:
        if libc is None:
            return
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)

    return bind


class ChildProcess:
    """One program: started in a process group of its own, killed with us, its output in a file.

    Everything runs on the loop, on the main thread (the kernel binds a child to the thread that made it).

    Args:
        argv: the program and its arguments.
        log_file: what it writes is appended here; kept once as `.1` when it has grown beyond 5 MB.
        env: its whole environment; ours if None.
        on_line: called with each line of its standard output, which may say that it is ready.
        echo: called with each line of its standard output and error.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self._argv = list(argv)
        self._log_file = log_file
        self._env = None if env is None else dict(env)
        self._on_line = on_line
        self._echo = echo
        self._process: asyncio.subprocess.Process | None = None
        self._pumps: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """Of the running program."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs or before it was started; negative when a signal ended it."""
        return None if self._process is None else self._process.returncode

    @property
    def is_running(self) -> bool:
        """Started and not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Run it.

        Raises:
            OSError: there is no such program, or its log cannot be written.
        """
        log = _open_log(self._log_file)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE if self._echo else log,
                env=self._env,
                limit=_LINE_LIMIT_BYTES,
                start_new_session=True,  # Ctrl-C at the terminal is for us; we end it in order
                preexec_fn=_bind_to_parent(os.getpid()),  # two system calls, no Python objects made
            )
        except BaseException:
            log.close()
            raise
        self._pumps = [asyncio.create_task(self._pump(log))]

    async def wait(self) -> int:
        """Until it has ended and all it said is written; its exit status.

        Raises:
            RuntimeError: it was never started.
        """
        if self._process is None:
            raise RuntimeError("the program was not started")
        status = await self._process.wait()
        await asyncio.wait(self._pumps)
        return status

    async def stop(self, *, grace_s: float = 2.0) -> None:
        """SIGTERM, and after `grace_s` SIGKILL. Harmless when it has ended, or was never started."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.kill(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            self.kill(signal.SIGKILL)
        await self.wait()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send this signal to it, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _pump(self, log: IO[bytes]) -> None:
        process = self._process
        assert process is not None  # noqa: S101  # start() made it
        with log:
            streams = [self._read(process.stdout, log, self._on_line)]
            if process.stderr is not None:
                streams.append(self._read(process.stderr, log, None))
            await asyncio.gather(*streams)

    async def _read(
        self, stream: asyncio.StreamReader | None, log: IO[bytes], on_line: Callable[[str], None] | None
    ) -> None:
        assert stream is not None  # noqa: S101  # asked for as a pipe
        while line := await _line(stream):
            log.write(line)
            log.flush()
            text = line.decode(errors="replace").rstrip("\n")
            for listener in (on_line, self._echo):
                if listener is not None:
                    listener(text)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or a full buffer of one that does not end; empty at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError:
        return await stream.read(_LINE_LIMIT_BYTES)


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab", buffering=0)
