"""One of our own processes as a child: it says on standard output when it serves."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.server.child_process import ChildProcess
from protocol.errors import AntiphonError, SettingsInvalid

READY_WITHIN_S: Final = 120.0
"""A first start may split a voice's model or download one."""
_GRACE_S: Final = 1.5
_LAST_WORDS: Final = 4_000
_WRONG_CONFIGURATION: Final = 2
"""The exit status with which our commands say so."""


class PartFailed(AntiphonError):
    """It ended before it served."""


class AntiphonPart:
    """`antiphon serve ...` as a supervised part (`actors.supervisor.Part`).

    Args:
        name: for people.
        arguments: of the command line, from `serve` on.
        ready_prefix: begins the line with which it says that it serves.
        log_file: where its output goes.
        environment: its whole environment.
        is_essential: whether the others are of no use without it.
        may_end: whether it stays ended when it ends with status 0.
        ready_within_s: it is ended if it takes longer until it serves.
        echo: called with each line that it prints, too.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        ready_prefix: str,
        log_file: Path,
        environment: Mapping[str, str],
        is_essential: bool = True,
        may_end: bool = False,
        ready_within_s: float = READY_WITHIN_S,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self._name = name
        self._arguments = list(arguments)
        self._ready_prefix = ready_prefix
        self._log_file = log_file
        self._environment = environment
        self._is_essential = is_essential
        self._may_end = may_end
        self._ready_within_s = ready_within_s
        self._echo = echo
        self._child: ChildProcess | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def is_essential(self) -> bool:
        """Whether the others are of no use without it."""
        return self._is_essential

    @property
    def may_end(self) -> bool:
        """Whether it stays ended when it ends with status 0: a worker that was drained."""
        return self._may_end

    async def start(self) -> str:
        """Run it and wait until it serves; returns what it says of itself.

        Raises:
            PartFailed: it ended before, with its last words.
            SettingsInvalid: it did so because of its configuration.
        """
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_line(line: str) -> None:
            if line.startswith(self._ready_prefix) and not ready.done():
                ready.set_result(line.removeprefix(self._ready_prefix).partition(" ")[2])

        said_before = self._log_file.stat().st_size if self._log_file.exists() else 0
        self._child = ChildProcess(
            [sys.executable, "-m", "actors.cli.app", *self._arguments],
            log_file=self._log_file,
            env=self._environment,
            on_line=on_line,
            echo=self._echo,
        )
        await self._child.start()
        ended = asyncio.create_task(self._child.wait())
        either: set[asyncio.Future[Any]] = {ready, ended}
        try:
            await asyncio.wait(either, timeout=self._ready_within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if ready.done():
            return ready.result()
        await self._child.stop(grace_s=_GRACE_S)
        words = self._last_words(said_before).removeprefix("antiphon: ")
        if self._child.returncode == _WRONG_CONFIGURATION:
            raise SettingsInvalid(words)
        raise PartFailed(f"{self._name}: {words}")

    async def wait(self) -> int:
        """Until it has ended; its exit status."""
        if self._child is None:
            raise RuntimeError("the part was not started")
        return await self._child.wait()

    async def stop(self) -> None:
        """End it, by force after 1.5 s."""
        if self._child is not None:
            await self._child.stop(grace_s=_GRACE_S)

    def _last_words(self, said_before: int) -> str:
        with self._log_file.open("rb") as log:
            log.seek(max(said_before, self._log_file.stat().st_size - _LAST_WORDS))
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"it did not say why; its log is {self._log_file}"
