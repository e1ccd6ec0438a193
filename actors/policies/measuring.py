"""What is told once a second of a session's sound. Pure: seconds of one monotonic clock come in, measures come out."""

from dataclasses import dataclass, field
from math import inf
from typing import Final

from protocol.audio import FRAME_MS, SPEECH_RATE
from protocol.ids import Millis, Samples, SessionId, TurnId
from protocol.measures import GatewayMeasures, MicrophoneMeasures, SpeechMeasures, TtsMeasures

WINDOW_S: Final = 1.0
PAUSE_S: Final = 1.0
"""A microphone that sends nothing for longer was switched off: that is no jitter."""
_FRAME_S: Final = FRAME_MS / 1000
_GAIN: Final = 16
_ROUNDING_S: Final = 1e-6
"""Fifty times 20 ms are a second."""
_OVER_S: Final = WINDOW_S - _ROUNDING_S


class Jitter:
    """The interarrival jitter of RFC 3550, section 6.4.1: J += (|D| - J) / 16.

    D is by how much the distance of two frames' arrivals differs from that of their times, here the 20 ms grid.
    """

    def __init__(self) -> None:
        self._jitter_s = 0.0
        self._worst_s = 0.0

    def note(self, deviation_s: float) -> None:
        """The next frame came so much too early or too late after the one before."""
        size_s = abs(deviation_s)
        self._jitter_s += (size_s - self._jitter_s) / _GAIN
        if size_s > self._worst_s:  # noqa: PLR1730  # a call less in what each frame of each session does
            self._worst_s = size_s

    @property
    def ms(self) -> float:
        """The estimate now."""
        return round(self._jitter_s * 1000, 2)

    def take_worst_ms(self) -> float:
        """The largest deviation since this was last asked."""
        worst, self._worst_s = self._worst_s, 0.0
        return round(worst * 1000, 2)


class Window:
    """The time that the measures are of: from the first thing that happens, for a second.

    It ends with the last look at it, so that no time counts in which nobody looked because nothing could flow.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._until = 0.0

    def is_over(self, now: float) -> bool:
        """Whether it is time to tell. Opens nothing."""
        since = self._since
        if since is None:
            return False
        if now - self._until < WINDOW_S:
            self._until = now
        return now - since >= _OVER_S

    def note(self, now: float) -> None:
        """Something happened."""
        if self._since is None:
            self._since = now
        self._until = now

    def close(self) -> Millis:
        """Its length; the next one opens when something happens."""
        since, self._since = self._since, None
        return Millis(round((self._until - since) * 1000)) if since is not None else Millis(0)


@dataclass(slots=True)
class _Microphone:
    frames: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Speech:
    arrived: int = 0
    dropped: int = 0
    played: int = 0
    underruns: int = 0
    silent: int = 0


class GatewaySound:
    """One session's sound in the gateway. `take` what is told, once `is_over`, before noting what comes next.

    Attributes:
        is_over: whether there is something to tell at this time, and it is time to (`Window.is_over`).
    """

    def __init__(self, session: SessionId) -> None:
        self._session = session
        self._window = Window()
        self.is_over: Final = self._window.is_over
        self._microphone: _Microphone | None = None
        self._speech: _Speech | None = None
        self._heard_at = -inf
        self._mic_jitter = Jitter()
        self._speech_jitter = Jitter()

    def heard(self, now: float, *, taken: bool) -> None:
        """A microphone frame came; `taken`, or dropped because it came faster than time."""
        self._window.note(now)
        counts = self._microphone
        if counts is None:
            counts = self._microphone = _Microphone()
        if taken:
            counts.frames += 1
        else:
            counts.dropped += 1
        since_last = now - self._heard_at
        if since_last <= PAUSE_S:
            self._mic_jitter.note(since_last - _FRAME_S)
        self._heard_at = now

    def arrived(self, now: float, deviation_s: float | None) -> None:
        """A frame of speech came from its worker, so far off its grid (None: not paced)."""
        self._sounding(now).arrived += 1
        if deviation_s is not None:
            self._speech_jitter.note(deviation_s)

    def dropped(self, now: float) -> None:
        """A frame of speech came that nobody wanted."""
        self._sounding(now).dropped += 1

    def played(self, now: float) -> None:
        """A frame of speech was handed to the client's transport."""
        self._sounding(now).played += 1

    def silent(self, now: float, *, again: bool) -> None:
        """The next frame should have been there and was not; `again` if the one before was missing already."""
        counts = self._sounding(now)
        counts.silent += 1
        counts.underruns += not again

    def take(self, *, turn: TurnId, queued: Samples) -> GatewayMeasures:
        """All since this was last asked."""
        microphone, speech = self._microphone, self._speech
        measures = GatewayMeasures(
            session=self._session,
            over_ms=self._window.close(),
            microphone=None if microphone is None else self._of_microphone(microphone),
            speech=None if speech is None else self._of_speech(speech, turn, queued),
        )
        self._microphone = self._speech = None
        return measures

    def _sounding(self, now: float) -> _Speech:
        self._window.note(now)
        counts = self._speech = self._speech or _Speech()
        return counts

    def _of_microphone(self, counts: _Microphone) -> MicrophoneMeasures:
        jitter = self._mic_jitter
        return MicrophoneMeasures(
            frames=counts.frames, dropped=counts.dropped, jitter_ms=jitter.ms, worst_ms=jitter.take_worst_ms()
        )

    def _of_speech(self, counts: _Speech, turn: TurnId, queued: Samples) -> SpeechMeasures:
        return SpeechMeasures(
            turn=turn,
            arrived=counts.arrived,
            dropped=counts.dropped,
            played=counts.played,
            jitter_ms=self._speech_jitter.ms,
            worst_ms=self._speech_jitter.take_worst_ms(),
            queued_ms=Millis(queued * 1000 // SPEECH_RATE),
            underruns=counts.underruns,
            silent=counts.silent,
        )


@dataclass(slots=True)
class WorkerSound:
    """One session's speech at its worker. `take` what is told, once `is_over`, before noting what comes next."""

    session: SessionId
    _window: Window = field(default_factory=Window)
    _turn: TurnId = TurnId(0)
    _sent: int = 0
    _again: int = 0
    _ahead_ms: Millis = Millis(0)
    _underruns: int = 0

    def is_over(self, now: float) -> bool:
        """Whether there is something to tell, and it is time to."""
        return self._window.is_over(now)

    def sent(self, now: float, turn: TurnId, *, ahead: Samples, again: bool) -> None:
        """A frame has left, whose end is so far ahead of the playout; `again` if it had left before."""
        self._window.note(now)
        self._turn = turn
        self._sent += 1
        self._again += again
        self._ahead_ms = Millis(max(0, ahead) * 1000 // SPEECH_RATE)

    def underrun(self, now: float, turn: TurnId) -> None:
        """The turn's next frame was due and not there."""
        self._window.note(now)
        self._turn = turn
        self._underruns += 1

    def take(self) -> TtsMeasures:
        """All since this was last asked."""
        measures = TtsMeasures(
            session=self.session,
            over_ms=self._window.close(),
            turn=self._turn,
            sent=self._sent,
            again=self._again,
            ahead_ms=self._ahead_ms,
            underruns=self._underruns,
        )
        self._sent = self._again = self._underruns = 0
        return measures
