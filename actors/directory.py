"""Keeps the directory of sessions up to date with those of this gateway. On the loop."""

import time
from typing import Final

import structlog

from actors.peer_ports import Clock
from actors.sessions.standing import Standing
from protocol.directory import SessionEntry
from protocol.ids import ModelId, SessionId, UnixMicros
from protocol.ports import SessionDirectory

_MICROS: Final = 1_000_000

log = structlog.get_logger()


class Directory:
    """What sessions say of themselves, with the gateway's name and the time.

    Telling others never stands in the way of a conversation: should it fail, that is logged once, and nothing is told.
    """

    def __init__(self, entries: SessionDirectory, *, gateway: str, wall_clock: Clock = time.time) -> None:
        """`wall_clock` says seconds since the epoch."""
        self._entries = entries
        self._gateway = gateway
        self._wall_clock = wall_clock
        self._opened_at: dict[SessionId, UnixMicros] = {}
        self._has_failed = False

    def note(self, session: SessionId, standing: Standing | None) -> None:
        """Where a session stands from now on; None: it is over."""
        try:
            if standing is None:
                self._opened_at.pop(session, None)
                self._entries.remove(session)
            else:
                self._entries.write(self._entry(session, standing))
        except Exception:
            if not self._has_failed:
                log.exception("sessions are not told")
            self._has_failed = True

    def _entry(self, session: SessionId, standing: Standing) -> SessionEntry:
        now = UnixMicros(int(self._wall_clock() * _MICROS))
        return SessionEntry(
            session=session,
            gateway=self._gateway,
            state=standing.state,
            turn=standing.turn,
            history=standing.history,
            language=standing.language,
            tts_worker=standing.tts_worker,
            tts_model=ModelId(standing.tts_model) if standing.tts_model else None,
            asr_worker=standing.asr_worker,
            opened_at=self._opened_at.setdefault(session, now),
            updated_at=now,
        )
