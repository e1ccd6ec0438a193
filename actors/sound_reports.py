"""Says once a second on `audio.meta.<sid>.gateway` how a session's sound passes here. On the loop.

It has no timer: what passes, and the pulls of a connected client's transport, move it on. Where nothing passes nothing
is said, and a session that has ended leaves nothing behind.
"""

from actors.peer_ports import Clock
from actors.policies.measuring import GatewaySound
from actors.policies.playout import PlayoutGate
from protocol.ids import SessionId
from protocol.ports import Bus
from protocol.subjects import gateway_meta


class SoundReports:
    """One session's; told of every frame that comes or goes, and of every pull."""

    def __init__(self, session: SessionId, gate: PlayoutGate, bus: Bus, clock: Clock) -> None:
        self._subject = gateway_meta(session)
        self._gate = gate
        self._bus = bus
        self._clock = clock
        self._sound = GatewaySound(session)
        self._heard = False

    def heard(self, *, taken: bool) -> None:
        """A microphone frame came; `taken`, or dropped because it came faster than time."""
        self._heard = True
        self._sound.heard(self.look(), taken=taken)

    def arrived(self, deviation_s: float | None) -> None:
        """A frame of speech came, so far off its grid (None: not paced)."""
        self._sound.arrived(self.look(), deviation_s)

    def dropped(self) -> None:
        """A frame of speech came that nobody wanted."""
        self._sound.dropped(self.look())

    def played(self) -> None:
        """A frame of speech was handed over."""
        self._sound.played(self.look())

    def silent(self, *, again: bool) -> None:
        """The next frame should have been there and was not."""
        self._sound.silent(self.look(), again=again)

    def pulled(self) -> None:
        """The transport took silence: the time to look, unless the microphone has seen to that."""
        if self._heard:
            self._heard = False
        else:
            self.look()

    def look(self) -> float:
        """Publish what the last second brought, if it is over; the time now."""
        now = self._clock()
        if self._sound.is_over(now):
            self._bus.publish(self._subject, self._sound.take(turn=self._gate.turn, queued=self._gate.queued))
        return now
