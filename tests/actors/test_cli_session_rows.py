"""Sessions as rows of a table."""

from dataclasses import replace

from actors.cli.session_rows import SESSION_COLUMNS, session_rows
from protocol.ids import TurnId, UnixMicros
from tests.adapters.directory_stage import an_entry

ONE = an_entry("s-1", state="SPEAKING", turn=TurnId(3), history=5, opened_at=UnixMicros(1_000_000_000))
TWO = an_entry("s-2", tts_worker=None, tts_model=None, opened_at=UnixMicros(2_000_000_000))


def test_each_session_is_a_row_with_its_ages() -> None:
    first, second = session_rows([replace(ONE, updated_at=UnixMicros(1_060_000_000)), TWO], now_s=1_065.0)
    assert len(first.cells) == len(SESSION_COLUMNS)
    assert first.cells == (
        *("s-1", "gateway-0", "SPEAKING", "3", "hibari-heart", "tts-hibari-0", "asr-whisper-0", "en", "5"),
        *("5 s ago", "1 min"),
    )
    assert second.cells[3:6] == ("-", "-", "-")
    assert first.lasting == first.cells[:-2], "the passing of time is no news"
