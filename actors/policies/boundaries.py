"""Where a text can be cut so that both sides can be spoken: marks of many languages, and what stands around them. Pure.

Looks only at what stands before a place and at the one character after it, so that a stream can be cut while it comes.
"""

# ruff: noqa: RUF001 - other languages' punctuation is the subject

import unicodedata
from enum import IntEnum
from typing import Final

from actors.policies.full_stops import Stop, read_stop

_CLOSERS: Final = "\"'”’»›)]}）」』】〉》］｝"
_ENDS: Final = "!?‽؟।॥։۔။።។᙮꓿⸮"
_WIDE_ENDS: Final = "。！？｡．︒"
_CLAUSES: Final = ",;:—–،؛၊፣፤·"
_WIDE_CLAUSES: Final = "、，；：､"
_DASHES: Final = ("-", "--", "–", "—")


class Cut(IntEnum):
    """How well a text can be cut at a place."""

    NONE = 0
    CLAUSE = 1
    SENTENCE = 2


def cut_between(text: str, char: str, *, language: str = "en") -> Cut:
    """How well `text` can be cut before `char`, which comes next."""
    if text[-1].isspace():
        return _after_blank(text, char, language)
    stem = text.rstrip(_CLOSERS)
    mark = stem[-1:]
    if not mark or char in _CLOSERS or char in _WIDE_ENDS or char in _ENDS:
        return Cut.NONE
    if mark in _WIDE_ENDS:
        return Cut.SENTENCE
    if mark in _WIDE_CLAUSES:
        return Cut.CLAUSE
    if char.isspace():
        return _before_blank(text, stem, language)
    return _within(text, mark, char)


def _within(text: str, mark: str, char: str) -> Cut:
    """No blank on either side."""
    if mark in _ENDS and char in "¿¡":
        return Cut.SENTENCE
    if mark == "—" and text.endswith("—"):
        return Cut.CLAUSE
    return Cut.CLAUSE if mark == "…" and is_wide(char) and char != "…" else Cut.NONE


def _before_blank(text: str, stem: str, language: str) -> Cut:
    """A mark and a blank: certain unless a quotation closed, or the mark was a stop that may mean something else."""
    mark = stem[-1]
    if mark in _ENDS:
        return Cut.SENTENCE if stem == text else Cut.NONE
    if mark == "." and stem == text and not stem.endswith(".."):
        return Cut.SENTENCE if _stop(stem, language) is Stop.END else Cut.NONE
    if mark in _CLAUSES:
        return Cut.CLAUSE
    return Cut.CLAUSE if text.rsplit(maxsplit=1)[-1] in _DASHES else Cut.NONE


def _after_blank(text: str, char: str, language: str) -> Cut:
    """The next word begins: what was left open can be decided."""
    body = text.rstrip()
    if char.isspace():
        return Cut.SENTENCE if char == "\n" and "\n" in text[len(body) :] else Cut.NONE
    if "\n" in text[len(body) :] and not char.islower():
        return Cut.SENTENCE
    stem = body.rstrip(_CLOSERS)
    if stem.endswith(("..", "…")) or (stem[-1:] and stem[-1] in _ENDS):
        return Cut.CLAUSE if char.islower() else Cut.SENTENCE
    return _after_stop(stem, char, language) if stem.endswith(".") else Cut.NONE


def _after_stop(stem: str, char: str, language: str) -> Cut:
    stop = _stop(stem, language)
    if stop is Stop.INSIDE:
        return Cut.NONE
    if stop is Stop.UNLESS_NUMBER:
        return Cut.NONE if char.isdecimal() else Cut.SENTENCE
    return Cut.NONE if char.islower() else Cut.SENTENCE


def _stop(stem: str, language: str) -> Stop:
    line = stem[stem.rfind("\n") + 1 :]
    return read_stop(line, language=language)


def is_wide(char: str) -> bool:
    """A letter of a script that puts no blanks between words: Chinese and Japanese, not Korean."""
    return unicodedata.east_asian_width(char) == "W" and char.isalnum() and not "가" <= char <= "힣"
