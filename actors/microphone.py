"""A session's microphone: counted, paced, to the voice detector and to the bus. On the loop."""

from typing import Final

from actors import metrics
from actors.peer_ports import Clock, Ears
from actors.policies.rates import TokenBucket
from protocol.audio import FRAME_MS, MIC_FRAME, Frame, Kind
from protocol.errors import MalformedMessage
from protocol.ids import Millis, Samples, SessionId, TurnId, UnixMicros
from protocol.ports import Bus
from protocol.subjects import mic_frames

_FRAME_BYTES: Final = 2 * MIC_FRAME
_SILENCE: Final = bytes(_FRAME_BYTES)
_CLOCK_DRIFT: Final = 1.01
"""A client's clock may run a little faster than ours."""


class Microphone:
    """Gives each 20 ms their position in the session; positions never go back, whatever the connections do."""

    def __init__(
        self, *, session: SessionId, bus: Bus, ears: Ears, lead_frames: float, clock: Clock, wall_clock: Clock
    ) -> None:
        self._session = session
        self._subject = mic_frames(session)
        self._bus = bus
        self._ears = ears
        self._clock = clock
        self._wall_clock = wall_clock
        self._rate = TokenBucket(rate=1000 / FRAME_MS * _CLOCK_DRIFT, burst=lead_frames)
        self._frames = 0
        self._position = Samples(0)
        self._heard_at = clock()

    @property
    def quiet_for_s(self) -> float:
        """Time since the client last sent anything."""
        return self._clock() - self._heard_at

    def hear(self, pcm: bytes) -> None:
        """The next 20 ms; dropped and counted when it comes faster than time.

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
        else:
            metrics.FRAMES_DROPPED.labels("mic-rate").inc()

    def fall_silent(self, for_ms: Millis) -> None:
        """Nothing more comes for now: an utterance that is under way ends here."""
        for _ in range(for_ms // FRAME_MS):
            self._take(_SILENCE)

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
        if not self._bus.publish_frame(self._subject, frame):
            metrics.FRAMES_DROPPED.labels("bus").inc()
