"""When does somebody speak? Hysteresis over a detector's probabilities. Pure: windows come in, events come out."""

from typing import Final

from protocol.hearing import SpeechLikely, SpeechStarted, SpeechStopped, SpeechUnlikely, VadEvent
from protocol.ids import Millis, Samples, SessionId

VAD_RATE: Final = 16_000
WINDOW: Final = Samples(512)
"""The detector decides once per 32 ms."""

_HYSTERESIS: Final = 0.15
"""How far below the threshold a window must fall to count as silence: Silero's own figure."""
# Speech begins softly: "stop" hisses for 100 ms before a window is over the threshold. Its start is where the
# probability began to rise, less two windows: over 30 sentences, two voices and four phases the true onset lay
# 28 ms (5 %) to 92 ms (95 %) behind it, median 68; the worst case cut off 60 ms of a hiss.
_RISING: Final = 0.05
_LEAD: Final = 2 * WINDOW
_LONGEST_RISE: Final = 7 * WINDOW
_CALM: Final = 8
"""Windows without any sign of speech, a quarter of a second: the detector's memory has settled."""


class VoiceActivity:
    """One session's view of who speaks.

    `SpeechLikely` comes with the first window over the threshold, `SpeechStarted` with the `start_windows`-th in a
    row, `SpeechUnlikely` with the first that disagrees before. `SpeechStopped` comes when silence has lasted for
    `stop_ms`, to the nearest window; between the threshold and the lower release threshold speech goes on but does
    not start. Positions never decrease from one `SpeechStarted` or `SpeechStopped` to the next.
    """

    def __init__(
        self, session: SessionId, *, threshold: float = 0.5, start_windows: int = 2, stop_ms: Millis = Millis(200)
    ) -> None:
        """Raises ValueError for a threshold outside 0..1, or when speech would start or stop without a window."""
        if not 0.0 < threshold < 1.0 or start_windows < 1 or stop_ms <= 0:
            raise ValueError(f"no voice activity with {threshold=}, {start_windows=}, {stop_ms=}")
        self._session = session
        self._threshold = threshold
        self._release = max(threshold - _HYSTERESIS, threshold / 2)
        self._start_windows = start_windows
        self._stop_windows = max(1, round(stop_ms * VAD_RATE / 1000 / WINDOW))
        self._speaking = False
        self._run = 0
        """Windows in a row that speak for a change: speech while silent, silence while speaking."""
        self._run_first = Samples(0)
        self._rise_first: Samples | None = None
        self._calm = 0
        self._settled = Samples(0)
        """Where the last start or stop was set: the next one is not before it."""

    @property
    def speaking(self) -> bool:
        """Whether speech has started and not stopped."""
        return self._speaking

    @property
    def at_rest(self) -> bool:
        """Whether nothing has happened for a while, so that silence would bring nothing new."""
        return not self._speaking and self._calm >= _CALM

    def feed(self, position: Samples, probability: float) -> tuple[VadEvent, ...]:
        """The next window, whose first sample is `position`; windows come in order, some may be missing."""
        if probability <= _RISING:
            self._rise_first = None
            self._calm += 1
        else:
            self._calm = 0
            if self._rise_first is None:
                self._rise_first = position
        if self._speaking:
            return self._while_speaking(position, probability)
        return self._while_silent(position, probability)

    def _while_silent(self, position: Samples, probability: float) -> tuple[VadEvent, ...]:
        if probability <= self._threshold:
            if not self._run:
                return ()
            self._run = 0
            return (SpeechUnlikely(session=self._session, at=position, probability=probability),)
        events: tuple[VadEvent, ...] = ()
        if not self._run:
            self._run_first = position
            events = (SpeechLikely(session=self._session, at=position, probability=probability),)
        self._run += 1
        if self._run < self._start_windows:
            return events
        rise = self._run_first if self._rise_first is None else self._rise_first
        first = max(rise, self._run_first - _LONGEST_RISE)
        return (*events, self._turn(SpeechStarted, Samples(first - _LEAD), probability))

    def _while_speaking(self, position: Samples, probability: float) -> tuple[VadEvent, ...]:
        if probability >= self._release:
            self._run = 0
            return ()
        if not self._run:
            self._run_first = position
        self._run += 1
        if self._run < self._stop_windows:
            return ()
        return (self._turn(SpeechStopped, self._run_first, probability),)

    def _turn(
        self, event: type[SpeechStarted] | type[SpeechStopped], at: Samples, probability: float
    ) -> SpeechStarted | SpeechStopped:
        self._speaking = event is SpeechStarted
        self._run = 0
        self._settled = max(self._settled, at)
        return event(session=self._session, at=self._settled, probability=probability)
