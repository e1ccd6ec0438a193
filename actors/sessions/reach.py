"""How much of a reply has reached the listener."""

from typing import Final

from actors.policies.playout import PlayoutGate
from actors.sessions.ports import Clock
from protocol.audio import SPEECH_RATE
from protocol.conversation import ClientPlayout
from protocol.ids import Samples, TurnId

TRUSTED_S: Final = 0.5
"""A client's word on its loudspeaker is taken to go on by itself for this long."""


class Reach:
    """The gate's word, or that of a client with a buffer of its own, which knows better."""

    def __init__(self, gate: PlayoutGate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._report: ClientPlayout | None = None
        self._came_at = 0.0

    def client_played(self, report: ClientPlayout) -> None:
        """The client says how far its loudspeaker is."""
        self._report, self._came_at = report, self._clock()

    def played(self, turn: TurnId) -> Samples:
        """Samples of the turn that were heard by now; 0 for one whose frames the gate no longer expects."""
        if turn != self._gate.turn:
            return Samples(0)
        report = self._report
        if report is None or report.turn != turn:
            return self._gate.played
        since = 0.0 if self._gate.held else min(TRUSTED_S, self._clock() - self._came_at)
        return Samples(min(self._gate.played, report.played + int(since * SPEECH_RATE)))
