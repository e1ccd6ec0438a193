"""Where the words of a written phrase stand in what a model spoke."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from protocol.ids import Samples
from protocol.ports import WordSpan


@dataclass(frozen=True, slots=True)
class Spoken:
    """A group that the model spoke, in samples; `key` is what it is recognised by."""

    key: str
    first: int
    end: int


def key_of(word: str) -> str:
    """A word as it is compared: letters and digits in lower case."""
    return "".join(c for c in word.casefold() if c.isalnum())


def place_words(words: Sequence[str], spoken: Sequence[Spoken]) -> tuple[WordSpan, ...]:
    """One span for each written word, in order.

    A model reads "5 km" as "five kilometres" and "½" not at all: words that are spoken under other names share the
    time of what stands in their place, by their length; words that are not spoken have no length.
    """
    keys = [key_of(word) for word in words]
    if len(words) == len(spoken):
        return tuple(_span(w, s.first, s.end) for w, s in zip(words, spoken, strict=True))
    spans: list[WordSpan] = []
    here = spoken[0].first if spoken else 0
    matcher = SequenceMatcher(None, keys, [s.key for s in spoken], autojunk=False)
    for what, i, i_end, j, j_end in matcher.get_opcodes():
        if what == "equal":
            spans += [_span(w, s.first, s.end) for w, s in zip(words[i:i_end], spoken[j:j_end], strict=True)]
        elif what == "replace":
            spans += _shared(words[i:i_end], keys[i:i_end], spoken[j].first, spoken[j_end - 1].end)
        elif what == "delete":
            spans += [_span(w, here, here) for w in words[i:i_end]]
        elif spans:
            spans[-1] = _span(spans[-1].text, spans[-1].first, spoken[j_end - 1].end)
        here = spans[-1].end if spans else here
    return tuple(spans)


def _span(text: str, first: int, end: int) -> WordSpan:
    return WordSpan(text=text, first=Samples(first), end=Samples(end))


def _shared(words: Sequence[str], keys: Sequence[str], first: int, end: int) -> list[WordSpan]:
    """Times by length, for words of which only the whole stretch is known."""
    weights = [max(1, len(key)) for key in keys]
    total, passed, spans = sum(weights), 0, []
    for word, weight in zip(words, weights, strict=True):
        begin = first + (end - first) * passed // total
        passed += weight
        spans.append(_span(word, begin, first + (end - first) * passed // total))
    return spans
