"""Sessions as rows of a table: what stands in each cell."""

from collections.abc import Sequence
from typing import Final

from actors.cli.fleet_rows import Row, duration
from protocol.directory import SessionEntry

SESSION_COLUMNS: Final = (
    "session",
    "gateway",
    "state",
    "turn",
    "voice",
    "speaks",
    "listens",
    "language",
    "messages",
    "changed",
    "open for",
)
_NONE: Final = "-"
_STYLES: Final = {"LISTENING": "green", "THINKING": "yellow", "SPEAKING": "blue", "BARGED_IN": "magenta"}


def session_rows(entries: Sequence[SessionEntry], *, now_s: float) -> list[Row]:
    """One for each session; `now_s` is Unix time."""
    return [_row(entry, now_s) for entry in entries]


def _row(entry: SessionEntry, now_s: float) -> Row:
    lasting = (
        entry.session,
        entry.gateway,
        entry.state,
        str(entry.turn) if entry.turn else _NONE,
        entry.tts_model or _NONE,
        entry.tts_worker or _NONE,
        entry.asr_worker or _NONE,
        entry.language,
        str(entry.history),
    )
    passing = (f"{duration(now_s - entry.updated_at / 1e6)} ago", duration(now_s - entry.opened_at / 1e6))
    return Row(entry.session, (*lasting, *passing), _STYLES[entry.state], lasting)
