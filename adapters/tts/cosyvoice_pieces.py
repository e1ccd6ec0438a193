"""Pieces of a text to come, as CosyVoice's language model reads them."""

import re
import unicodedata
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from adapters.tts.cosyvoice_voice import sayable
from adapters.tts.text import ends_sentence

MOST_TOKENS: Final = 80
"""Of a sentence; where the library cuts a text, too. The flow computes all of a sentence anew for each chunk."""
_MARKS: Final = ".,;:!?…。，、；：！？"  # noqa: RUF001  # full-width punctuation is meant
_NO: Final = re.compile(r"\bNo\.(?!\s*\d)")
_ESCAPED: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece, or one of those that a long one is cut into.

    Attributes:
        piece: its number.
        text: as it is read, without a blank before it; empty when there is nothing to say.
        is_first, is_last: of its piece.
        ends_sentence: what follows is another sentence.
    """

    piece: int
    text: str
    is_first: bool = True
    is_last: bool = True
    ends_sentence: bool


def parts_of(frontend: Any, piece: int, text: str) -> list[Part]:
    """A piece with its numbers and signs written out; at least one part.

    The library does not do so with text that comes in pieces. Its normalizer takes each text for a complete one, and
    ends it with a full stop: a piece keeps its own end. What is written out must therefore not be cut in two.
    """
    said = sayable(text)
    ends = ends_sentence(text)
    cut = written_out(frontend, said) if said else []
    whole = _with_its_own_end(reduce(lambda before, one: before + joined(before, one), cut), said) if cut else ""
    if len(tokens_of(frontend, whole)) <= MOST_TOKENS:
        return [Part(piece=piece, text=whole, ends_sentence=ends)]
    last = len(cut) - 1
    return [
        Part(piece=piece, text=one.strip(), is_first=i == 0, is_last=i == last, ends_sentence=True)
        for i, one in enumerate(cut)
    ]


def written_out(frontend: Any, text: str) -> list[str]:
    """A text with its numbers and signs as words, cut where the library cuts it.

    What its normalizer (wetext) gets wrong is put right: "No." is no number, and quotation marks come with backslashes.
    """
    normal = frontend.text_normalize(_NO.sub("no.", text), split=True, text_frontend=True)
    return [_ESCAPED.sub(r"\1", one) for one in normal]


def tokens_of(frontend: Any, text: str) -> list[int]:
    """What the language model reads."""
    tokens, _ = frontend._extract_text_token(text)  # noqa: SLF001  # the library's modes do the same
    return [int(token) for token in tokens[0].tolist()]


def joined(before: str, text: str) -> str:
    """`text` as it goes on after `before`: with a blank, but in scripts that know none."""
    blank = before and text and not (_is_wide(before[-1]) or _is_wide(text[0]))
    return f" {text}" if blank else text


def _with_its_own_end(normal: str, said: str) -> str:
    end = said[len(said.rstrip(_MARKS)) :]
    return normal.rstrip().rstrip(_MARKS) + end


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
