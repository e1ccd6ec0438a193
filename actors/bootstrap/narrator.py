"""What `antiphon up` tells the person at the terminal: one line per event."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text


class Narrator:
    """Implements `actors.supervisor.Audience`. On the loop.

    Args:
        clock: monotonic seconds.
        began: when the command did, by that clock.
    """

    def __init__(self, *, clock: Callable[[], float], began: float) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._clock = clock
        self._began = began
        self._seen: set[str] = set()

    def ready(self, part: str, detail: str, after_s: float) -> None:
        """It serves."""
        word = "back" if part in self._seen else "ready"
        self._seen.add(part)
        self._line("green", "✓", part, f"{word} after {after_s:.1f} s", detail)

    def lost(self, part: str, reason: str, pause_s: float) -> None:
        """It is started again after the pause."""
        self._line("yellow", "!", part, f"{reason}; starting it again in {pause_s:.1f} s", "")

    def retired(self, part: str) -> None:
        """It stays ended."""
        self._line("yellow", "·", part, "ended as it was asked to, and is not started again", "")

    def usable(self, page: str, data_dir: Path) -> None:
        """The system can be talked with."""
        self._console.print()
        self._console.print(Text.assemble("  Talk with it at ", (page, "bold")))
        took = self._clock() - self._began
        self._console.print(Text(f"  Ready after {took:.1f} s. Logs: {data_dir / 'logs'}. Ctrl-C ends it."))
        self._console.print()

    def ended(self) -> None:
        """All parts are gone."""
        self._console.print(Text("  Ended."))

    def echo(self, line: str) -> None:
        """A line of a part's log."""
        self._console.print(Text(line, style="dim"))

    def _line(self, colour: str, mark: str, part: str, what: str, detail: str) -> None:
        self._console.print(Text.assemble(("  " + mark, colour), f" {part:<12} ", what, (f"   {detail}", "dim")))
