"""A router's answer, for people."""

from typing import Final

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from protocol.routing import Candidate, Routed, RouteRefused

_COULD_NOT: Final = frozenset({"starting", "draining", "no-such-model", "wrong-language", "no-capability", "avoided"})
_UNKNOWN: Final = "-"


def show(answer: Routed | RouteRefused, console: Console, *, explain: bool) -> None:
    """One line of outcome; with `explain` a table of all candidates below it."""
    console.print(_outcome(answer), soft_wrap=True)
    if not explain:
        console.print(
            f"{len(answer.candidates) + answer.left_off} workers were looked at; --explain shows them", style="dim"
        )
        return
    if answer.candidates:
        console.print(_table(answer.candidates))
    if answer.left_off:
        console.print(f"and {answer.left_off} more", style="dim")


def _outcome(answer: Routed | RouteRefused) -> Text:
    if isinstance(answer, RouteRefused):
        return Text.assemble(("refused ", "bold red"), f"{answer.code}: {answer.reason}")
    line = Text.assemble((answer.worker, "bold green"))
    if answer.model is not None:
        line.append(f" with {answer.model}")
    if answer.instead_of is not None:
        line.append(f", until {answer.instead_of} is loaded", style="yellow")
    elif not answer.resident and answer.model is not None:
        line.append(", which it has to load first", style="yellow")
    return line


def _table(candidates: tuple[Candidate, ...]) -> Table:
    table = Table(
        Column("worker", no_wrap=True),
        Column("verdict", no_wrap=True),
        Column("why", ratio=1),
        "memory",
        Column("queue", justify="right"),
        Column("sessions", justify="right", no_wrap=True),
        Column("first audio", justify="right", no_wrap=True),
        padding=(0, 1, 0, 0),
        box=None,
    )
    for it in candidates:
        table.add_row(
            it.worker,
            it.verdict,
            it.reason,
            "yes" if it.resident else "no",
            str(it.queue_depth),
            f"{it.sessions}/{it.capacity}",
            f"{it.p50_first_audio_ms:.0f} ms" if it.p50_first_audio_ms else _UNKNOWN,
            style=_style(it.verdict),
        )
    return table


def _style(verdict: str) -> str:
    if verdict == "chosen":
        return "green"
    return "dim" if verdict in _COULD_NOT else ""
