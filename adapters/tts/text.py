"""What of a text can be handed to a voice."""

import re
import unicodedata
import zlib
from typing import Final

_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_UNSPEAKABLE: Final = frozenset({"So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of emoji, modifiers, control and format characters."""
_SPOKEN_SYMBOLS: Final = frozenset("°©®™№")
_LONGEST_WORD: Final = 60
_SENTENCE_END: Final = ".!?…。！？"  # noqa: RUF001  # full-width punctuation is meant
_CLAUSE_END: Final = ",;:—–"  # noqa: RUF001  # an en dash is meant
_CLOSERS: Final = "\"'”’)]"  # noqa: RUF001  # typographic quotes are meant


def speakable(text: str) -> str:
    """`text` without markup tags, emoji and control characters, and without words that no person would say.

    What is left may be empty. Runs of more than 60 characters without a blank are cut into pieces: models fail on
    them or need minutes.
    """
    text = _TAG.sub(" ", text)
    kept = "".join(
        c if c in _SPOKEN_SYMBOLS or unicodedata.category(c) not in _UNSPEAKABLE else " "
        for c in unicodedata.normalize("NFC", text)
    )
    words = [word[i : i + _LONGEST_WORD] for word in kept.split() for i in range(0, len(word), _LONGEST_WORD)]
    spoken = " ".join(words)
    return spoken if any(c.isalnum() or c in "$€£%&@#+=" for c in spoken) else ""


def seed_of(text: str) -> int:
    """Of the noise in a phrase's sound: the same text gives the same samples."""
    return zlib.crc32(text.encode(errors="surrogatepass"))


def ends_sentence(text: str) -> bool:
    """Whether it ends with a full stop or the like."""
    last = text.rstrip().rstrip(_CLOSERS)[-1:]
    return bool(last) and last in _SENTENCE_END


def pause_after_s(text: str) -> float:
    """How long a speaker is silent after it."""
    if ends_sentence(text):
        return 0.25
    last = text.rstrip().rstrip(_CLOSERS)[-1:]
    return 0.12 if last and last in _CLAUSE_END else 0.06
