"""Says once a second on `audio.meta.<sid>.tts.<worker>` how a session's speech leaves its worker. On the loop.

It has no timer: the frames that leave move it on, and the worker's look at its sessions, every 2 s at the latest.
"""

from collections.abc import Callable

from actors.policies.measuring import WorkerSound
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.ports import Bus
from protocol.subjects import tts_meta


class SpeechReports:
    """One session's; `clock` is the pacer's."""

    def __init__(self, session: SessionId, worker: WorkerName, bus: Bus, clock: Callable[[], float]) -> None:
        self._subject = tts_meta(session, worker)
        self._bus = bus
        self._clock = clock
        self._sound = WorkerSound(session)

    def sent(self, turn: TurnId, *, ahead: Samples, again: bool) -> None:
        """A frame has left, whose end is so far ahead of the playout; `again` if it had left before."""
        self._sound.sent(self.look(), turn, ahead=ahead, again=again)

    def underrun(self, turn: TurnId) -> None:
        """The turn's next frame was due and not there."""
        self._sound.underrun(self.look(), turn)

    def look(self) -> float:
        """Publish what the last second brought, if it is over; the time now."""
        now = self._clock()
        if self._sound.is_over(now):
            self._bus.publish(self._subject, self._sound.take())
        return now
