"""Says once a second on `audio.meta.<sid>.tts.<worker>` how a session's speech leaves its worker. On the loop.

It has no timer: the frames that leave move it on, and the worker's look at its sessions, every 2 s at the latest.
"""

from actors.policies.measuring import WorkerSound
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.ports import Bus
from protocol.subjects import tts_meta


class SpeechReports:
    """One session's. Times are seconds of the pacer's clock."""

    def __init__(self, session: SessionId, worker: WorkerName, bus: Bus) -> None:
        self._subject = tts_meta(session, worker)
        self._bus = bus
        self._sound = WorkerSound(session)

    def sent(self, now: float, turn: TurnId, *, ahead: Samples, again: bool) -> None:
        """A frame has left, whose end is so far ahead of the playout; `again` if it had left before."""
        self.look(now)
        self._sound.sent(now, turn, ahead=ahead, again=again)

    def underrun(self, now: float, turn: TurnId) -> None:
        """The turn's next frame was due and not there."""
        self.look(now)
        self._sound.underrun(now, turn)

    def look(self, now: float) -> None:
        """Publish what the last second brought, if it is over."""
        if self._sound.is_over(now):
            self._bus.publish(self._subject, self._sound.take())
