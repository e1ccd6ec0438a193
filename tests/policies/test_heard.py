import hypothesis.strategies as st
from hypothesis import given

from actors.policies.heard import Phrase, heard_text
from protocol.ids import Samples
from protocol.speaking import SpokenWord


def word(text: str, first: int, end: int) -> SpokenWord:
    return SpokenWord(text=text, first=Samples(first), end=Samples(end))


def phrase(
    text: str, first: int | None = None, end: int | None = None, *words: SpokenWord, exact: bool = False
) -> Phrase:
    return Phrase(
        text=text,
        first=None if first is None else Samples(first),
        end=None if end is None else Samples(end),
        words=words,
        exact=exact,
    )


HELLO = phrase("Hello there.", 0, 1_000, word("Hello", 100, 400), word("there.", 500, 900), exact=True)
SECOND = phrase("How are you?", 1_000, 2_000)


def test_everything_was_heard_at_the_end() -> None:
    split = heard_text([HELLO, SECOND], Samples(2_000))
    assert (split.heard, split.unheard, split.exact) == ("Hello there. How are you?", "", True)


def test_nothing_was_heard_at_the_beginning() -> None:
    split = heard_text([HELLO, SECOND], Samples(0))
    assert (split.heard, split.unheard, split.exact) == ("", "Hello there. How are you?", True)


def test_a_word_counts_when_half_of_it_was_played() -> None:
    assert heard_text([HELLO], Samples(249)).heard == ""
    assert heard_text([HELLO], Samples(250)).heard == "Hello"
    assert heard_text([HELLO], Samples(699)).heard == "Hello"
    assert heard_text([HELLO], Samples(700)).heard == "Hello there."


def test_the_models_own_times_are_exact_and_estimates_are_not() -> None:
    assert heard_text([HELLO, SECOND], Samples(300)).exact
    assert not heard_text([HELLO, SECOND], Samples(1_500)).exact


def test_a_cut_at_a_phrases_end_is_exact_without_word_times() -> None:
    split = heard_text([HELLO, SECOND], Samples(1_000))
    assert (split.heard, split.unheard, split.exact) == ("Hello there.", " How are you?", True)


def test_words_are_estimated_by_their_length() -> None:
    split = heard_text([phrase("a extraordinarily", 0, 1_900)], Samples(900))
    assert (split.heard, split.unheard) == ("a", " extraordinarily")
    assert heard_text([phrase("one two three four", 0, 1_000)], Samples(500)).heard == "one two"


def test_a_phrase_that_is_still_being_made_is_estimated_by_ordinary_speed() -> None:
    split = heard_text([phrase("One two three four five six seven.", 0)], Samples(48_000))
    assert split.heard == "One two three"
    assert not split.exact


def test_a_phrase_without_a_place_was_not_heard() -> None:
    split = heard_text([HELLO, phrase("How are you?")], Samples(5_000))
    assert (split.heard, split.unheard) == ("Hello there.", " How are you?")


def test_word_times_that_do_not_fit_the_text_are_not_used() -> None:
    odd = phrase("one two three four", 0, 1_000, word("one", 0, 10), exact=True)
    assert heard_text([odd], Samples(500)).heard == "one two"


@given(
    st.lists(st.text(alphabet="ab. ,", min_size=1, max_size=20), min_size=1, max_size=6),
    st.integers(0, 7_000),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_nothing_is_lost_and_more_playing_never_means_less_heard(
    texts: list[str], played: int, placed: list[bool]
) -> None:
    phrases = [
        phrase(text, i * 1_000, i * 1_000 + 1_000) if placed[i] else phrase(text, i * 1_000)
        for i, text in enumerate(texts)
    ]
    whole = heard_text(phrases, Samples(0)).unheard
    split, later = heard_text(phrases, Samples(played)), heard_text(phrases, Samples(played + 300))
    assert split.heard + split.unheard == whole
    assert later.heard.startswith(split.heard)
