"""How long the steps of a turn took, for `TurnMeasured`."""

from dataclasses import dataclass, field
from typing import Final

from protocol.ids import TurnId

KEPT_TURNS: Final = 4


@dataclass(slots=True)
class _Turn:
    asked_at: float | None = None
    text_at: float | None = None
    values: dict[str, float] = field(default_factory=dict)


class Latencies:
    """Takes moments in monotonic seconds and gives durations in ms.

    Args:
        silence_s: how long the detector waits before it says that speech has stopped; the speech ended that long ago.
    """

    def __init__(self, *, silence_s: float = 0.2) -> None:
        self._silence_s = silence_s
        self._speech_ended_at: float | None = None
        self._of_user: dict[str, float] = {}
        self._turns: dict[TurnId, _Turn] = {}

    def speech_started(self) -> None:
        """The user speaks: what was measured of their last pause is not the end of their speech."""
        self._speech_ended_at = None
        self._of_user = {}

    def speech_stopped(self, now: float) -> None:
        """The detector has noticed it."""
        self._speech_ended_at = now - self._silence_s

    def transcribed(self, compute_ms: float, now: float) -> None:
        """A final transcript has come."""
        self._of_user["asr_compute"] = compute_ms
        if self._speech_ended_at is not None:
            self._of_user["end_of_speech_to_transcript"] = (now - self._speech_ended_at) * 1000

    def reply_asked(self, turn: TurnId, now: float) -> None:
        """The language model begins."""
        self._turn(turn).asked_at = now

    def text_came(self, turn: TurnId, now: float) -> None:
        """A piece of text goes to the voice."""
        of_turn = self._turn(turn)
        if of_turn.text_at is None:
            of_turn.text_at = now
            if of_turn.asked_at is not None:
                of_turn.values["reply_to_first_text"] = (now - of_turn.asked_at) * 1000

    def sound_came(self, turn: TurnId, now: float) -> None:
        """The voice has begun, or the first frame leaves: whichever is noticed first."""
        of_turn = self._turn(turn)
        if of_turn.text_at is not None:
            of_turn.values.setdefault("text_to_first_frame", (now - of_turn.text_at) * 1000)

    def first_frame(self, turn: TurnId, now: float, *, answers_user: bool) -> dict[str, float]:
        """The first frame leaves for the client: what can be told of the turn."""
        self.sound_came(turn, now)
        of_turn = self._turn(turn)
        if answers_user and self._speech_ended_at is not None:
            of_turn.values |= self._of_user
            of_turn.values["end_of_speech_to_first_frame"] = (now - self._speech_ended_at) * 1000
        return dict(of_turn.values)

    def held(self, turn: TurnId, after_s: float) -> None:
        """The gate was closed so long after the detector's word."""
        self._turn(turn).values["speech_started_to_hold"] = after_s * 1000

    def settled(self, turn: TurnId) -> dict[str, float]:
        """All that was measured; the turn is forgotten."""
        of_turn = self._turns.pop(turn, None)
        return {} if of_turn is None else of_turn.values

    def _turn(self, turn: TurnId) -> _Turn:
        while len(self._turns) >= KEPT_TURNS and turn not in self._turns:
            self._turns.pop(next(iter(self._turns)))
        return self._turns.setdefault(turn, _Turn())
