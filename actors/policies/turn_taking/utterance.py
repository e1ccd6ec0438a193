"""What a person says from the first sound until the floor passes, however often they pause in it."""

from collections import deque
from typing import Final

from actors.policies.backchannel import Said
from protocol.audio import MIC_RATE
from protocol.ids import Millis, Samples

MIC_SAMPLES_PER_MS: Final = MIC_RATE // 1000
LEAD_IN: Final = Samples(200 * MIC_SAMPLES_PER_MS)
"""Transcribed before the first sample of speech: a detector notices a soft beginning late."""
TAIL: Final = Samples(100 * MIC_SAMPLES_PER_MS)
NOTICE_MS: Final = 128
"""Two windows are over the threshold when the detector says that speech has started, and it sets the start at least two
windows before them (`actors/policies/voice_activity.py`): so much has certainly been heard by then."""
MAX_PIECES: Final = 40
"""Of a speech that never ends the oldest text is forgotten, about a quarter of an hour back."""


class Utterance:
    """Its place in the microphone's samples, its text so far, and how much of it the text covers.

    Attributes:
        number: counts a session's utterances from 1.
        speaking: whether the person makes a sound now.
        spoke_at: when the latest sound was noticed.
        silent_at: when the latest silence was noticed.
        first_request: transcripts with this number and later ones belong to it.
        committed: whether it is in the history.
        told: the text that the client knows.
        completeness: a turn detector's opinion, if there is one.
        said: what the latest transcript amounts to.
    """

    def __init__(self, number: int, at: Samples, now: Millis, first_request: int) -> None:
        self.number = number
        self.speaking = True
        self.spoke_at = now
        self.silent_at = now
        self.first_request = first_request
        self.committed = False
        self.told = ""
        self.completeness: float | None = None
        self.said = Said.NOTHING
        self.range_since = now
        self._begin = at
        self._end = at
        self._latest_start = at
        self._segments = [at]
        self._kept: deque[str] = deque(maxlen=MAX_PIECES)
        self._text = ""
        self._covered = Samples(0)

    @property
    def text(self) -> str:
        """All that is known of it."""
        return " ".join(piece for piece in (*self._kept, self._text) if piece)

    @property
    def has_words(self) -> bool:
        """Whether it is worth an answer."""
        return bool(self._kept) or bool(self._text)

    @property
    def length_ms(self) -> Millis:
        """From its first sound to its latest, as far as that has ended."""
        return Millis((self._end - self._begin) // MIC_SAMPLES_PER_MS)

    def go_on(self, at: Samples, now: Millis) -> None:
        """The person speaks again."""
        self.speaking = True
        self.spoke_at = now
        self.completeness = None
        self._latest_start = Samples(max(at, self._segments[-1]))
        self._segments.append(self._latest_start)

    def pause(self, at: Samples, now: Millis) -> None:
        """The person has fallen silent, from this sample on."""
        self.speaking = False
        self.silent_at = now
        self._end = Samples(max(at, self._segments[-1]))

    def is_covered(self, slack_ms: Millis = Millis(0)) -> bool:
        """Whether a transcript up to its end is here, or one that lacks no more than `slack_ms`."""
        return not self.speaking and self.reaches(self._covered, slack_ms)

    def reaches(self, end: Samples, slack_ms: Millis) -> bool:
        """Whether a range up to `end` lacks no more than `slack_ms` of the speech."""
        return end + slack_ms * MIC_SAMPLES_PER_MS >= self._end

    def whole_range(self, longest: Millis) -> tuple[Samples, Samples]:
        """What to transcribe at a pause: all of it, or what is new when all of it would be too long."""
        if self._end - self._begin > longest * MIC_SAMPLES_PER_MS:
            self.keep_what_is_covered(self.silent_at)
        return self._from(self._begin), Samples(self._end + TAIL)

    def range_so_far(self, now: Millis) -> tuple[Samples, Samples]:
        """What can be transcribed while the person goes on speaking; its end is estimated from the time."""
        heard = (NOTICE_MS + now - self.spoke_at) * MIC_SAMPLES_PER_MS
        return self._from(self._begin), Samples(self._latest_start + heard)

    def voiced_ms(self, first: Samples, end: Samples) -> Millis:
        """How much of a transcribed range lies between the first sound and the last."""
        last = end if self.speaking else min(end, self._end)
        return Millis(max(0, last - max(first, self._begin)) // MIC_SAMPLES_PER_MS)

    def record(self, end: Samples, text: str, said: Said) -> None:
        """A transcript up to `end` has come; one of nothing does not take back words that were there."""
        self.said = said
        self._covered = Samples(max(self._covered, end))
        if said is Said.WORDS:
            self._text = text

    def keep_what_is_covered(self, now: Millis) -> bool:
        """Settle the text so far, if the person has paused after it, so that only what is new is transcribed next."""
        new = next((at for at in self._segments if at > self._covered), None)
        if not self._text or new is None:
            return False
        self._keep_text(new)
        self.range_since = now
        return True

    def keep_and_go_on_from(self, end: Samples, now: Millis) -> None:
        """Of a speech without pauses: what lies before `end` is settled."""
        self._keep_text(end)
        self.range_since = now
        self._segments = [Samples(max(end, self._segments[-1]))]

    def _keep_text(self, begin: Samples) -> None:
        if self._text:
            self._kept.append(self._text)
        self._text = ""
        self._begin = begin
        self._segments = [at for at in self._segments if at >= begin] or [begin]

    @staticmethod
    def _from(begin: Samples) -> Samples:
        return Samples(max(0, begin - LEAD_IN))
