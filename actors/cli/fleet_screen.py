"""Tables of the fleet and of sessions: once, or refreshed in place on a terminal, or line by line for programs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, Self, TypeVar

import orjson
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli.fleet_rows import Row, without_empty

_GAP: Final = "  "
_View = TypeVar("_View")


class Screen(AbstractContextManager["Screen[Any]"], Generic[_View]):
    """Shows the same rows again and again; what `show` gets decides how often."""

    def __init__(
        self,
        console: Console,
        columns: Sequence[str],
        make_rows: Callable[[Sequence[_View]], list[Row]],
        *,
        watch: bool,
        nothing: str,
    ) -> None:
        self._console = console
        self._columns = columns
        self._make_rows = make_rows
        self._nothing = nothing
        self._lines = _ChangedLines(console) if watch and not console.is_terminal else None
        self._live = Live(console=console, auto_refresh=False) if watch and console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, views: Sequence[_View], is_connected: bool) -> None:
        """All of it, in place of what was shown before."""
        rows = self._make_rows(views)
        if self._lines is not None:
            self._lines.show(rows)
        elif self._live is not None:
            self._live.update(self._picture(rows, is_connected=is_connected), refresh=True)
        elif self._console.is_terminal:
            self._console.print(self._picture(rows, is_connected=True))
        else:
            for line in aligned(self._columns, rows) if rows else [self._nothing]:
                self._console.print(Text(line), soft_wrap=True)

    def _picture(self, rows: Sequence[Row], *, is_connected: bool) -> RenderableType:
        shown: RenderableType = _table(self._columns, rows) if rows else Text(self._nothing, style="dim")
        if is_connected:
            return shown
        return Group(shown, Text("no connection to NATS: this is what was known before", style="bold red"))


def _table(columns: Sequence[str], rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    kept = without_empty(columns, rows)
    for i in kept:
        table.add_column(columns[i], overflow="fold")
    state = columns.index("state")
    for row in rows:
        table.add_row(*(Text(row.cells[i], style=row.style if i == state else "") for i in kept))
    return table


def aligned(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Plain lines, a column under the other, with nothing cut off."""
    kept = without_empty(columns, rows)
    lines = [[columns[i] for i in kept], *([row.cells[i] for i in kept] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(kept))]
    return [_GAP.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


class _ChangedLines:
    """Where no cursor can be moved: a line for each row that has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[str, ...]] = {}

    def show(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._shown.get(row.key) != row.lasting:
                self._print(_GAP.join(row.lasting))
        for key in self._shown.keys() - {row.key for row in rows}:
            self._print(f"{key}{_GAP}gone")
        self._shown = {row.key: row.lasting for row in rows}

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class JsonScreen(AbstractContextManager["JsonScreen[Any]"], Generic[_View]):
    """One JSON document a line: the first, and each that differs.

    Args:
        lasting: a view without what changes by the mere passing of time.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        document: Callable[[Sequence[_View]], Any],
        *,
        lasting: Callable[[_View], _View] = lambda view: view,
    ) -> None:
        self._write = write
        self._document = document
        self._lasting = lasting
        self._last = b""

    def __exit__(self, *_error: object) -> None:
        """Nothing is left open."""

    def show(self, views: Sequence[_View], is_connected: bool) -> None:  # noqa: ARG002  # a call-back's form
        """As a line, if it is news."""
        lasting = orjson.dumps([self._lasting(view) for view in views])
        if lasting != self._last:
            self._last = lasting
            self._write(orjson.dumps(self._document(views)).decode())
