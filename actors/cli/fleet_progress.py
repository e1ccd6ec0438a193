"""What goes on while a command waits for a worker."""

from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.text import Text

from protocol.ports import WorkerView
from protocol.workers import Announcement


class Waiting(AbstractContextManager["Waiting"]):
    """A spinner with words on a terminal, a line for each new word elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = console.status("")
        self._said = ""

    def __exit__(self, *_error: object) -> None:
        self._spinner.stop()

    def say(self, words: str) -> None:
        """What it waits for now."""
        if words == self._said:
            return
        self._said = words
        if not self._console.is_terminal:
            self.tell(words)
            return
        self._spinner.update(words)
        self._spinner.start()

    def tell(self, words: str) -> None:
        """A line that stays."""
        self._spinner.stop()
        self._console.print(Text(words), soft_wrap=True)


class Draining(Waiting):
    """A worker that finishes."""

    def __init__(self, console: Console, worker: str) -> None:
        super().__init__(console)
        self._worker = worker

    def __enter__(self) -> Self:
        return self

    def show(self, view: WorkerView) -> None:
        """How far it is."""
        left = view.worker.sessions
        whose = {0: "nothing left to do", 1: "1 session left"}.get(left, f"{left} sessions left")
        self.say(f"{self._worker} drains: {whose}")

    def ended(self, successor: Announcement | None) -> None:
        """It is gone."""
        self.tell(f"{self._worker} has ended" + (", and another one has taken its place" if successor else ""))

    def left(self) -> None:
        """Ctrl-C: we wait no longer, it drains on."""
        self.tell(f"{self._worker} drains on; nobody waits for it any more")
