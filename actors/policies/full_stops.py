"""What a full stop means: the end of a sentence, or a part of an abbreviation, a number or a name. Pure."""

# ruff: noqa: RUF001, SIM905 - quotation marks of other languages are the subject; tables of words are read as text

from enum import Enum, auto
from typing import Final


class Stop(Enum):
    """What the stop at the end of a text means, as far as that text can tell."""

    END = auto()
    """A sentence ends here."""
    INSIDE = auto()
    """The sentence goes on, whatever follows. Too long a piece is spoken well; one cut after "Dr." is not."""
    UNLESS_LOWER = auto()
    """A sentence ends here unless the next word begins with a small letter."""
    UNLESS_NUMBER = auto()
    """A sentence ends here unless a number follows: "No. 5" but "No. Never."."""


_INSIDE: Final = frozenset(
    "dr mr mrs ms mx messrs prof rev hon gen col maj capt cmdr sgt lt gov sen rep pres supt st mt vs cf viz "
    "resp bzw ca evtl ggf inkl vgl sog hr fr str mme mlle sra srta dra ud uds dott sig ing".split()
)
_UNLESS_LOWER: Final = frozenset(
    "etc inc ltd co corp llc plc jr sr bros esq approx dept est ave blvd rd assn univ govt min max misc "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun "
    "usw gmbh ag al oz lb lbs ft hrs mins secs".split()
)
_UNLESS_NUMBER: Final = frozenset(
    "no nos nr p pp pg vol vols fig figs sec ch chap art eq eqs ref refs tel ext ver v para abb abs bd núm pág".split()
)
_NEVER_AT_AN_END: Final = frozenset({"e.g", "i.e", "z.b", "d.h", "u.a", "p.ej", "c.-à-d"})
_ORDINALS: Final = frozenset("de da cs sk sl fi et lv hu no nb nn pl hr sr bs tr is".split())
"""Languages that write "3." for "third"."""
_OPENERS: Final = "\"'([{<“‘«„‚¿¡*_"
_LONGEST_LIST_NUMBER: Final = 3
_LONGEST_ACRONYM_PART: Final = 2


def read_stop(text: str, *, language: str = "en") -> Stop:
    """What the full stop that ends `text` means; `text` begins where its sentence or line does."""
    words = text[:-1].split()
    token = words[-1].lstrip(_OPENERS) if words else ""
    if not token:
        return Stop.INSIDE
    if token.isdecimal():
        return _after_number(token, first=len(words) == 1, language=language)
    if _is_initial(token):
        return Stop.INSIDE
    return _after_word(token)


def _after_number(token: str, *, first: bool, language: str) -> Stop:
    list_marker = first and len(token) <= _LONGEST_LIST_NUMBER
    ordinal = language.partition("-")[0] in _ORDINALS
    return Stop.INSIDE if list_marker or ordinal else Stop.END


def _is_initial(token: str) -> bool:
    """One letter of a script that has capitals: "네." is a whole answer in Korean."""
    return len(token) == 1 and token.lower() != token.upper()


def _after_word(token: str) -> Stop:
    low = token.lower()
    if low in _NEVER_AT_AN_END or low in _INSIDE:
        return Stop.INSIDE
    if _is_acronym(token):
        return Stop.UNLESS_LOWER if token == low else Stop.INSIDE
    if low in _UNLESS_NUMBER:
        return Stop.UNLESS_NUMBER
    return Stop.UNLESS_LOWER if low in _UNLESS_LOWER else Stop.END


def _is_acronym(token: str) -> bool:
    """As in "U.S.", "a.m." and "Ph.D."."""
    parts = token.split(".")
    return len(parts) > 1 and all(part.isalpha() and len(part) <= _LONGEST_ACRONYM_PART for part in parts)
