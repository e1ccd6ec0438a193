"""Does a transcript say the same thing over and over? Whisper's way of failing when it can't hear where to stop."""

import re
from typing import Final

_LONGEST: Final = 16
_TWICE_IS_TOO_OFTEN_FROM: Final = 3
"""Nobody says the same three words twice without a pause; "no, no" and "very, very" are fine."""


def is_repetitive(text: str) -> bool:
    """Whether three words or more come twice in a row, or one or two words three times."""
    words = re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", text.lower())
    for length in range(1, min(_LONGEST, len(words) // 2) + 1):
        times = 2 if length >= _TWICE_IS_TOO_OFTEN_FROM else 3
        for at in range(len(words) - times * length + 1):
            piece = words[at : at + length]
            if all(words[at + n * length : at + (n + 1) * length] == piece for n in range(1, times)):
                return True
    return False
