"""What `antiphon voices pull` shows while it works."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class PullProgress:
    """A bar for each file of a model; nothing where nobody watches."""

    def __init__(self, model: str, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._model = model
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, file: str, here: int, size: int) -> None:
        """So much of the file is here."""
        task = self._tasks.get(file)
        if task is None:
            shown = f"{self._model} {file.rpartition('/')[2]}"
            task = self._tasks[file] = self._progress.add_task(shown, total=size, completed=here)
        self._progress.update(task, completed=here)
