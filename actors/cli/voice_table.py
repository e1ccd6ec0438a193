"""What `antiphon voices list` prints."""

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.bootstrap.voices import ListedVoice

_COLUMNS: Final = ("model", "family", "languages", "licence", "size", "where", "state")
_MB: Final = 1e6
_SHOWN_LANGUAGES: Final = 4


def voice_table(voices: "Iterable[ListedVoice]") -> Table:
    """One row a voice; what a worker can speak with now is green."""
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, overflow="fold", justify="right" if column == "size" else "left")
    for voice in voices:
        table.add_row(
            Text(voice.model, style="bold green" if voice.usable else "bold"),
            voice.family,
            _languages(voice.languages),
            Text(voice.licence + (" (not free)" if voice.non_free else ""), style="yellow" if voice.non_free else ""),
            "" if voice.size is None else f"{voice.size / _MB:,.0f} MB",
            voice.where,
            Text("here", style="green") if voice.usable else Text(voice.problem, style="dim"),
        )
    return table


def _languages(languages: tuple[str, ...]) -> str:
    more = len(languages) - _SHOWN_LANGUAGES
    return ", ".join(languages[:_SHOWN_LANGUAGES]) + (f" and {more} more" if more > 0 else "")
