"""What XTTS is told to say: its languages, and text in pieces that it can hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from adapters.tts.text import speakable
from protocol.errors import SynthesisFailed

_SENTENCE_END: Final = re.compile(r"[.!?…。！？؟।]+[\"'”’)」』]*")  # noqa: RUF001  # other scripts' marks are meant
_CLAUSE_END: Final = re.compile(r"[,;:،؛、，；：—–]+[\"'”’)」』]*")  # noqa: RUF001  # as above
_BLANK: Final = re.compile(r"\s+")
_SOONEST: Final = 0.3
"""Of the limit: a cut before it would leave a scrap, of which XTTS makes noise; a weaker mark further on is better."""
_MANY_DIGITS: Final = re.compile(r"\d{13,}")
"""Nobody says them as one number, and the library fails on them in some languages."""
_DIGIT: Final = re.compile(r"[0-9]")
_ORDINAL: Final = re.compile(r"([0-9])\.(?=\s|$)")
_DIGITS: Final = {"hi": ("शून्य", "एक", "दो", "तीन", "चार", "पाँच", "छह", "सात", "आठ", "नौ")}
_DEFAULT_LIMIT: Final = 150
_EXTRAS: Final = {"ja": "coqui-tts[ja]", "zh": "coqui-tts[zh]", "ko": "coqui-tts[ko]"}
"""What spells a language out, where coqui-tts does not bring that along."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is said in one go.

    Attributes:
        spelled: how many characters it has once numbers and signs are spelled out.
    """

    text: str
    tokens: list[int]
    spelled: int


def language_of(code: str, known: list[str]) -> str:
    """XTTS's name of a language (`zh` for all of Chinese) by its BCP 47 code; region and script say nothing to it.

    Raises:
        SynthesisFailed: XTTS does not speak it.
    """
    language = code.replace("_", "-").split("-")[0].casefold()
    spoken = {name.split("-")[0] for name in known}
    if language not in spoken:
        raise SynthesisFailed(f"XTTS does not speak {code!r}, but {', '.join(sorted(spoken))}")
    return language


def spoken_pieces(text: str, *, limit: int) -> Iterator[str]:
    """What of a phrase can be said, in pieces of at most `limit` characters, cut where a speaker would."""
    # what stands in brackets could be one of the vocabulary's commands: [STOP]
    text = _MANY_DIGITS.sub(lambda digits: " ".join(digits.group()), speakable(text).translate(_NO_BRACKETS)).strip()
    while len(text) > limit:
        end = _cut(text, limit)
        yield from _sayable(text[:end])
        text = text[end:].strip()
    yield from _sayable(text)


def encoded(tokenizer: Any, text: str, language: str, most: int) -> Iterator[Piece]:
    """The pieces of a phrase, each in fewer than `most` tokens.

    Raises:
        SynthesisFailed: a package is missing that spells this language out.
    """
    for piece in spoken_pieces(text, limit=tokenizer.char_limits.get(language, _DEFAULT_LIMIT)):
        yield from _encoded(tokenizer, piece, language, most)


def _encoded(tokenizer: Any, piece: str, language: str, most: int) -> Iterator[Piece]:
    tokens, spelled = _spelled_out(tokenizer, piece.lower(), language)
    if len(tokens) < most or len(piece) == 1:
        yield Piece(piece, tokens[: most - 1], spelled)
        return
    for part in spoken_pieces(piece, limit=max(1, len(piece) // 2)):
        yield from _encoded(tokenizer, part, language, most)


def _spelled_out(tokenizer: Any, text: str, language: str) -> tuple[list[int], int]:
    """Tokens, and the number of characters behind them.

    Numbers that the library cannot read are made easier: it fails on Czech ordinals (`12.`), and on all of Hindi's.
    """
    digits = _DIGITS.get(language, tuple("0123456789"))
    one_by_one = _DIGIT.sub(lambda digit: f" {digits[int(digit.group())]} ", text)
    ways = [text, _ORDINAL.sub(r"\1 .", text), _BLANK.sub(" ", one_by_one)]
    for way in ways:
        try:
            return list(tokenizer.encode(way, lang=language)), len(tokenizer.preprocess_text(way, language))
        except ImportError as error:
            extra = _EXTRAS.get(language, "it")
            raise SynthesisFailed(f"XTTS: a package for {language!r} is missing ({error}): install {extra}") from error
        except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError) as error:
            if way is ways[-1] or not _DIGIT.search(text):
                raise SynthesisFailed(f"XTTS cannot spell this out in {language!r}: {error!r}") from error
    raise AssertionError("one of the ways was the last")


def _cut(text: str, limit: int) -> int:
    """Where to: behind the last sentence within the limit, else clause, else word, else anywhere."""
    within = text[:limit]
    for mark in (_SENTENCE_END, _CLAUSE_END, _BLANK):
        ends = [found.end() for found in mark.finditer(within) if found.end() > limit * _SOONEST]
        if ends:
            return ends[-1]
    return limit


def _sayable(piece: str) -> Iterator[str]:
    piece = piece.strip()
    if any(c.isalnum() for c in piece) or any(c in "$€£%&@#" for c in piece):
        yield piece


_NO_BRACKETS: Final = str.maketrans("[]", "  ")
