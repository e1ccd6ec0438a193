"""Notices that the sound of a turn has stopped coming while there is still some to play. Pure: seconds come in."""

from typing import Final

from actors.policies.playout import PlayoutGate
from protocol.audio import SPEECH_RATE
from protocol.ids import TurnId

PATIENCE_S: Final = 0.1
"""A worker sends a frame each 20 ms; five in a row are late when it is dead, hangs, starves, or waits for its text."""
LEFT: Final = int(0.12 * SPEECH_RATE)
"""Samples in the gate: while there are more, a worker that has sent ahead may take its time."""


class Supply:
    """One session's. Says so once for each time that it dries up."""

    def __init__(self) -> None:
        self._turn = TurnId(0)
        self._since = 0.0
        self._told = False

    def arrived(self, turn: TurnId, now: float) -> None:
        """A frame came."""
        self._turn, self._since, self._told = turn, now, False

    def has_dried_up(self, gate: PlayoutGate, now: float) -> bool:
        """To be asked at each pull; True once."""
        if gate.turn != self._turn or gate.complete or self._told:
            return False
        if gate.held:
            self._since = now  # its worker is told to pause, and to go on only later
            return False
        if gate.queued > LEFT or now - self._since < PATIENCE_S:
            return False
        self._told = True
        return True
