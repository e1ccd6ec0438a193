"""A session's microphone: counted, paced, to the voice detector and to the recognizer. On the loop."""

from collections import deque
from typing import Final

from actors import metrics
from actors.feed import Feed
from actors.peer_ports import Clock, Ears
from actors.policies.rates import TokenBucket
from protocol.audio import FRAME_MS, MIC_FRAME, MIC_RATE, Frame, Kind
from protocol.errors import MalformedMessage
from protocol.ids import Millis, Samples, SessionId, TurnId, UnixMicros
from protocol.ports import Bus

_FRAME_BYTES: Final = 2 * MIC_FRAME
_SILENCE: Final = bytes(_FRAME_BYTES)
_CLOCK_DRIFT: Final = 1.01
"""A client's clock may run a little faster than ours."""
_BACKLOG: Final = 1_000 // FRAME_MS
"""Frames before a speech that the recognizer gets with it: the detector notices a beginning 0.1 to 0.2 s late, and
0.2 s before it are transcribed, too."""
_TAIL: Final = Samples(MIC_RATE)
"""After a speech; transcripts reach 0.1 s into the silence."""
_SIGN_OF_LIFE: Final = 1_000 // FRAME_MS
"""Of so many frames in silence one is sent, so that a recognizer does not take the session for dead: the oldest of the
backlog, so that positions only ever rise."""


class Microphone:
    """Gives each 20 ms their position in the session; positions never go back, whatever the connections do.

    The detector hears everything. The recognizer gets speech with a second on either side: carrying silence to a
    recognizer that has nothing to do with it was half of what an idle session cost.

    Attributes:
        feed: the recognizer's side: to be held back while there is none, and to be replayed to a new one.
    """

    def __init__(
        self, *, session: SessionId, bus: Bus, ears: Ears, lead_frames: float, clock: Clock, wall_clock: Clock
    ) -> None:
        self._session = session
        self.feed = Feed(session=session, bus=bus)
        self._ears = ears
        self._clock = clock
        self._wall_clock = wall_clock
        self._rate = TokenBucket(rate=1000 / FRAME_MS * _CLOCK_DRIFT, burst=lead_frames)
        self._frames = 0
        self._position = Samples(0)
        self._heard_at = clock()
        self._speech = False
        self._sent_until = Samples(0)
        self._backlog: deque[Frame] = deque(maxlen=_BACKLOG)

    @property
    def quiet_for_s(self) -> float:
        """Time since the client last sent anything."""
        return self._clock() - self._heard_at

    def hear(self, pcm: bytes) -> bool:
        """The next 20 ms; False when they are dropped and counted because they come faster than time.

        Raises:
            MalformedMessage: for another length than 640 bytes.
        """
        if len(pcm) != _FRAME_BYTES:
            raise MalformedMessage(
                f"{len(pcm)} bytes of sound where {_FRAME_BYTES} belong: 20 ms, 16 kHz, mono, signed 16 bit"
            )
        self._heard_at = self._clock()
        if self._rate.take(self._heard_at):
            self._take(pcm)
            return True
        metrics.FRAMES_DROPPED.labels("mic-rate").inc()
        return False

    def fall_silent(self, for_ms: Millis) -> None:
        """Nothing more comes for now: an utterance that is under way ends here."""
        for _ in range(for_ms // FRAME_MS):
            self._take(_SILENCE)

    def speech(self, *, under_way: bool) -> None:
        """The detector hears speech, or no longer does."""
        if self._speech and not under_way:
            self._sent_until = Samples(self._position + _TAIL)
        self._speech = under_way
        while under_way and self._backlog:
            self.feed.send(self._backlog.popleft())

    def close(self) -> None:
        """Nothing more is sent, and nothing is kept."""
        self.feed.close()
        self._backlog.clear()

    def _take(self, pcm: bytes) -> None:
        frame = Frame(
            kind=Kind.MICROPHONE,
            turn=TurnId(0),
            sequence=self._frames,
            position=self._position,
            captured_at=UnixMicros(int(self._wall_clock() * 1_000_000)),
            pcm=pcm,
        )
        self._frames += 1
        self._position = frame.end
        metrics.FRAMES_IN.inc()
        self._ears.hear(self._session, frame.position, pcm)  # first: an interruption begins here
        if self._speech or frame.position < self._sent_until:
            self.feed.send(frame)
            return
        self._backlog.append(frame)
        if frame.sequence % _SIGN_OF_LIFE == 0:
            self.feed.send(self._backlog.popleft())
