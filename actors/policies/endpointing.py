"""How long silence has to last until a person has finished: after a whole sentence soon, after "and the" later.

Whisper writes a full stop or a question mark after nearly everything ("What is the capital of?"), so the last word
tells more than the mark; "..." and "-" it writes only where a text breaks off.
"""

from typing import Final

from actors.policies import vocabulary
from actors.policies.words import bare_words
from protocol.ids import Millis

SHORTEST: Final = Millis(200)
LONGEST: Final = Millis(3_000)
AFTER_GREETING: Final = 400
"""Added after "Hello.": people greet, breathe, and ask."""
AFTER_DANGLING: Final = 1_000
"""Added after a text that no sentence ends with."""
AFTER_HESITATION: Final = 1_500
UNDECIDED: Final = 0.5
"""The completeness at which a turn detector has no opinion."""

_TRAILING_OFF: Final = ("...", "\N{HORIZONTAL ELLIPSIS}", ",", "-", "\N{EN DASH}", "\N{EM DASH}", ":")
_LONGEST_GREETING: Final = 3


def silence_needed(text: str, *, base: Millis, language: str, completeness: float | None = None) -> Millis:
    """Silence after the detector said "stopped" until the turn is over, from SHORTEST to LONGEST.

    Args:
        text: what was understood so far.
        base: the session's `end_of_turn_ms`.
        language: of the session.
        completeness: how sure a turn detector is that the person has finished (0 to 1); None without one.
    """
    if completeness is not None:
        return _by_completeness(completeness, base)
    return _bounded(base + _hesitance(text, language))


def is_open_ended(text: str, *, language: str) -> bool:
    """Whether the text asks to be continued, so that an answer to it is not worth preparing."""
    return _hesitance(text, language) >= AFTER_DANGLING


def _hesitance(text: str, language: str) -> int:
    words = bare_words(text)
    if not words:
        return 0
    if words[-1] in vocabulary.HESITATIONS:
        return AFTER_HESITATION
    if text.rstrip().endswith(_TRAILING_OFF) or words[-1] in vocabulary.of(vocabulary.DANGLING, language):
        return AFTER_DANGLING
    if len(words) <= _LONGEST_GREETING and vocabulary.GREETINGS.issuperset(words):
        return AFTER_GREETING
    return 0


def _by_completeness(completeness: float, base: Millis) -> Millis:
    """SHORTEST when certain, the base when undecided, LONGEST when certain of the contrary; linear between."""
    doubt = min(1.0, max(0.0, 1.0 - completeness)) * 2
    if doubt <= 1:
        return _bounded(round(SHORTEST + (base - SHORTEST) * doubt))
    return _bounded(round(base + (LONGEST - base) * (doubt - 1)))


def _bounded(ms: int) -> Millis:
    return Millis(min(LONGEST, max(SHORTEST, ms)))
