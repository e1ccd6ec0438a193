"""How many frames of a turn may leave for the gateway now.

Positions are samples of the turn at 48 kHz, times are seconds of one monotonic clock.
"""

from typing import Final

from protocol.audio import FRAME_MS, SPEECH_FRAME, SPEECH_RATE
from protocol.ids import Millis, Samples

_FRAME_S: Final = FRAME_MS / 1000
TRUSTED_S: Final = 0.12
"""How long a report is believed to go on by itself: they come every 100 ms while something plays."""
LOST_AFTER_S: Final = 0.15
"""A gateway that has nothing, of what left so long ago, did not get it."""
MOST_OWED: Final = 10
"""Frames of delay that are made up for; a gateway that was held up for longer has stood still itself."""


class Pacing:
    """One turn's credit: never more than `lead_ms` ahead of what the gateway has played.

    Frames leave one per tick of a 20 ms grid, after a burst at the beginning that fills the gateway's queue up to
    40 ms below the limit, which leaves room for the reports' jitter. When the queue has run half empty, because the
    model was slow or the client plays faster than our clock, the next tick fills it again.

    Between two reports playout is taken to go on, a whole frame at a time, through what the gateway had queued, for at
    most 120 ms, and only if the gate was open: a gateway that dies is sent nothing beyond that.
    """

    def __init__(self, *, lead_ms: Millis = Millis(200)) -> None:
        self._lead = lead_ms * SPEECH_RATE // 1000
        self._target = max(SPEECH_FRAME, self._lead - 2 * SPEECH_FRAME)
        self._refill = self._target // 2
        self._played = 0
        self._queued = 0
        self._held = True
        self._reported_at = 0.0
        self._starving_since: float | None = None
        self._owed = 0
        self.sent = Samples(0)
        """The first sample that has not left."""

    def report(self, *, played: Samples, queued: Samples, held: bool, now: float) -> None:
        """The gateway says how far it is. What an older report says is passed over."""
        if played < self._played:
            return
        stands = played == self._played and not queued and not held and played < self.sent
        self._starving_since = (self._starving_since or now) if stands else None
        self._played, self._queued, self._held, self._reported_at = played, queued, held, now

    def lost(self, now: float) -> Samples | None:
        """Where to go on, when what has left did not arrive: the gateway has been waiting for it too long."""
        since = self._starving_since
        return Samples(self._played) if since is not None and now - since >= LOST_AFTER_S else None

    def go_back(self, position: Samples) -> None:
        """What has left from here on is sent again."""
        self.sent, self._starving_since, self._owed = position, None, 0

    def played(self, now: float) -> Samples:
        """What is certainly, or all but certainly, played by now."""
        if self._held:
            return Samples(self._played)
        elapsed = min(max(now - self._reported_at, 0.0), TRUSTED_S)
        return Samples(self._played + min(int(elapsed / _FRAME_S + 1e-6) * SPEECH_FRAME, self._queued))

    def ahead(self, now: float) -> Samples:
        """How much of what has left is still to be played."""
        return Samples(self.sent - self.played(now))

    def runs_low(self, now: float) -> bool:
        """Whether less than half of what there should be has left."""
        return self.ahead(now) < self._refill

    def at_once(self, now: float, ready: int) -> int:
        """Of `ready` frames, how many may leave without waiting for the grid: a burst, if the queue ran low."""
        room = (self._target - self.ahead(now)) // SPEECH_FRAME
        return min(ready, room) if self.runs_low(now) else 0

    def at_tick(self, now: float, ready: int, points: int = 1) -> int:
        """Of `ready` frames, how many may leave at this tick, `points` points of the grid after the last one.

        Frames that were due and had no room, because a report was late, leave as soon as there is room.
        """
        room = max(0, (self.played(now) + self._lead - self.sent) // SPEECH_FRAME)
        owed = self._owed + points
        due = max(self.at_once(now, ready), min(ready, room, owed))
        self._owed = min(max(owed - due, 0), MOST_OWED) if due < ready else 0
        return due
