"""Says on `control.session.<sid>.playout` how far the client is, and keeps the playout's books. On the loop."""

from typing import Final

from actors import metrics
from actors.policies.playout import PlayoutGate, Pulled
from actors.sound_reports import SoundReports
from protocol.audio import FRAME_MS, SPEECH_RATE, Frame
from protocol.conversation import Playout
from protocol.ids import SessionId, TurnId
from protocol.ports import Bus
from protocol.subjects import session_playout

_PULLS_PER_REPORT: Final = 100 // FRAME_MS
_UNPACED_FRAMES: Final = 200 // FRAME_MS
"""What a worker may send at once, when a turn begins or goes on, says nothing about its pace."""


class PlayoutReports:
    """A report each 100 ms while something plays or should, and one at each change."""

    def __init__(self, session: SessionId, gate: PlayoutGate, bus: Bus, sound: SoundReports) -> None:
        self._session = session
        self._subject = session_playout(session)
        self._gate = gate
        self._bus = bus
        self._sound = sound
        self._said: tuple[TurnId, bool, bool] = (TurnId(0), False, False)
        self._pulls = 0
        self._starving = False
        self._last_arrival = 0.0
        self._arrivals = 0
        self._arriving = TurnId(0)

    def _state(self) -> tuple[TurnId, bool, bool]:
        return self._gate.turn, self._gate.held, self._gate.finished

    def report(self) -> None:
        """Say it now."""
        gate = self._gate
        self._said = self._state()
        self._pulls = 0
        if gate.held:
            self._arrivals = 0
        metrics.QUEUED.observe(gate.queued / SPEECH_RATE)
        self._bus.publish(
            self._subject,
            Playout(session=self._session, turn=gate.turn, played=gate.played, queued=gate.queued, held=gate.held),
        )

    def changed(self) -> bool:
        """Say it if the turn, or whether it is held or finished, is not what was said last."""
        if self._state() == self._said:
            return False
        self.report()
        return True

    def played(self, pulled: Pulled) -> bool:
        """A frame was handed over; True when that was reported."""
        self._starving = False
        self._sound.played()
        self._pulls += 1
        if not (pulled.first or pulled.last or self._pulls >= _PULLS_PER_REPORT):
            return self.changed()
        self.report()
        return True

    def silent(self) -> bool:
        """Nothing could be handed over; True when that was reported.

        A reply that should go on and can't is reported again and again: the worker may wait for a report that was lost.
        """
        if not self._gate.starving:
            self._sound.pulled()
            return self.changed()
        self._sound.silent(again=self._starving)
        if not self._starving:
            self._starving = True
            metrics.UNDERRUNS.inc()
            self._pulls = _PULLS_PER_REPORT
        self._pulls += 1
        if self._pulls < _PULLS_PER_REPORT:
            return False
        self.report()
        return True

    def arrived(self, frame: Frame, now: float) -> None:
        """A frame came from a worker at `now` (seconds)."""
        if frame.turn != self._arriving:
            self._arriving, self._arrivals = frame.turn, 0
        self._arrivals += 1
        deviation_s = None
        if self._arrivals > _UNPACED_FRAMES and not self._gate.held:
            deviation_s = now - self._last_arrival - FRAME_MS / 1000
            metrics.FRAME_JITTER.observe(abs(deviation_s))
        self._sound.arrived(deviation_s)
        self._last_arrival = now

    def dropped(self, where: str) -> None:
        """A frame came from a worker that nobody wanted: of another worker, or not for the gate."""
        metrics.FRAMES_DROPPED.labels(where).inc()
        self._sound.dropped()
