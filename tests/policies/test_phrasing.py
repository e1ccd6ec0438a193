# ruff: noqa: RUF001, SIM905 - other languages' punctuation is the subject; a table of scraps is read as text
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.policies.markup import strip_markup
from actors.policies.phrasing import MAX_WEIGHT, Phrasing, count_words, is_speakable


def pieces_of(text: str, *, language: str = "en", cuts: list[int] | None = None) -> list[str]:
    """What comes out when the text goes in, cut into deltas at these places (default: a character at a time)."""
    phrasing = Phrasing(language)
    places = sorted({min(cut, len(text)) for cut in cuts} if cuts is not None else set(range(len(text))))
    deltas = [text[a:b] for a, b in pairwise([0, *places, len(text)])]
    return [piece for delta in deltas for piece in phrasing.feed(delta)] + phrasing.finish()


def squeezed(text: str) -> str:
    return "".join(text.split())


def later(text: str, language: str = "en") -> list[str]:
    """The pieces after a first one."""
    return pieces_of("Well then. " + text, language=language)[1:]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Hello. How are you?", "Hello."),
        ("Of course, I can help you with that.", "Of course,"),
        ("Well, I think so, too.", "Well, I think so,"),
        ("Let me see; it is there.", "Let me see;"),
        ("The answer is: 42.", "The answer is:"),
        ("I know — or do I?", "I know —"),
        ("I know - or do I?", "I know -"),
        ("I know—or do I?", "I know—"),
        ("Yes!", "Yes!"),
        ("You said: good morning", "You said:"),
    ],
)
def test_the_first_piece_is_a_clause(text: str, first: str) -> None:
    assert pieces_of(text)[0] == first


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("I would really like to help you with all of this today", "I would really like to help you"),
        ("one two three four five six seven eight nine ten eleven", "one two three four five six seven eight nine ten"),
        ("one two three four five six seven eight nine the eleven", "one two three four five six seven eight nine"),
        ("これは日本語のとても長い文章ですが句読点がありませんので困りますね。", "これは日本語のとても長い文章ですが"),
        ("今天" * 20, "今天" * 15),
    ],
)
def test_without_a_mark_the_first_piece_ends_where_a_voice_can_breathe(text: str, first: str) -> None:
    assert pieces_of(text)[0] == first


def test_the_first_piece_does_not_wait_for_the_end_of_the_text() -> None:
    phrasing = Phrasing()
    assert phrasing.feed("Of course, ") == ["Of course,"]
    assert phrasing.feed("I can. ") == ["I can."]
    assert phrasing.feed("And") == []
    assert phrasing.finish() == ["And"]


def test_later_pieces_are_whole_sentences() -> None:
    text = "First, there is rain, wind, and snow. Then there is the sun! Is it warm? Yes."
    assert later(text) == ["First, there is rain, wind, and snow.", "Then there is the sun!", "Is it warm?", "Yes."]


@pytest.mark.parametrize(
    "sentence",
    [
        "It costs 3.14 dollars and weighs 1,000.5 kilograms.",
        "Dr. Smith and Mrs. Jones met Prof. Brown on St. John's Road.",
        "Bring fruit, e.g. apples, i.e. the round ones.",
        "He moved to the U.S. Army base.",
        "J. K. Rowling and George R. R. Martin write.",
        "Open https://example.com/a.b?c=d,e;f#g!h and read.",
        "Mail john.doe@example.co.uk or ask.",
        "See Fig. 3 on p. 12 of vol. 2 today.",
        "It is 10:30 now, i.e. late.",
        "It is 5 p.m. in Paris, etc. and so on.",
        "Acme Inc. makes anvils.",
        "I am... not sure… about that.",
        'She asked "Why?" and left.',
        "The node.js file is config.yaml, right.",
        "Version 2.0.1 of .NET came out.",
        "That is 50% of $4.20, isn't it?",
        "He (that is, Mr. X.) laughed.",
        "Use a/b, and/or C++.",
    ],
)
def test_a_stop_within_a_sentence_does_not_break_it(sentence: str) -> None:
    assert later(sentence) == [sentence]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It is 5 p.m. The shop is shut.", ["It is 5 p.m.", "The shop is shut."]),
        ("Apples, pears, etc. Then bread.", ["Apples, pears, etc.", "Then bread."]),
        ("Take No. 5 today. No. Never.", ["Take No. 5 today.", "No.", "Never."]),
        ("It was 1999. Then came 2000.", ["It was 1999.", "Then came 2000."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("(It is late.) Good night.", ["(It is late.)", "Good night."]),
        ("Well... Perhaps.", ["Well...", "Perhaps."]),
        ("Really?! Yes!!! Fine.", ["Really?!", "Yes!!!", "Fine."]),
        ("“Go,” he said. “Now!” She went.", ["“Go,” he said.", "“Now!”", "She went."]),
    ],
)
def test_a_stop_at_an_end_is_seen(text: str, pieces: list[str]) -> None:
    assert later(text) == pieces


@pytest.mark.parametrize(
    ("language", "text", "pieces"),
    [
        ("zh", "你好！今天天气很好。你想聊什么？", ["你好！", "今天天气很好。", "你想聊什么？"]),
        ("ja", "「はい。」と言った。次です。", ["「はい。」", "と言った。", "次です。"]),
        ("ko", "네. 알겠습니다. 좋아요!", ["네.", "알겠습니다.", "좋아요!"]),
        ("es", "¿Qué tal? ¡Hola! Muy bien.", ["¿Qué tal?", "¡Hola!", "Muy bien."]),
        ("ar", "هل أنت بخير؟ نعم، أنا بخير.", ["هل أنت بخير؟", "نعم، أنا بخير."]),
        ("hi", "नमस्ते। आप कैसे हैं?", ["नमस्ते।", "आप कैसे हैं?"]),
        ("de", "Am 3. Mai kam z.B. Dr. Müller. Er ging.", ["Am 3. Mai kam z.B. Dr. Müller.", "Er ging."]),
        ("hy", "Բարև։ Ինչպես ես։", ["Բարև։", "Ինչպես ես։"]),
        ("am", "ሰላም። እንዴት ነህ።", ["ሰላም።", "እንዴት ነህ።"]),
        ("ru", "Это А. С. Пушкин. Да!", ["Это А. С. Пушкин.", "Да!"]),
    ],
)
def test_sentences_of_other_languages_end_at_their_own_marks(language: str, text: str, pieces: list[str]) -> None:
    assert later(text, language) == pieces


def test_lines_and_lists_end_where_they_end() -> None:
    text = "# Fruit\nwhat I like\n\n- **apples**\n- pears\n\n1. First\n2. Second\nwrapped on"
    assert pieces_of(text) == ["Fruit", "what I like", "apples", "pears", "1. First", "2. Second wrapped on"]


def test_a_long_sentence_is_cut_at_its_clauses() -> None:
    sentence = ", ".join(f"then we walked to house number {n} of the old street" for n in range(12)) + "."
    pieces = later(sentence)
    assert " ".join(pieces) == sentence
    assert all(piece.endswith((",", ".")) for piece in pieces)
    assert max(map(len, pieces)) <= MAX_WEIGHT


def test_a_long_sentence_without_clauses_is_cut_between_words() -> None:
    sentence = " ".join(f"word{n}" for n in range(100))
    pieces = later(sentence)
    assert " ".join(pieces) == sentence
    assert max(map(len, pieces)) <= MAX_WEIGHT


@pytest.mark.parametrize("text", ["x" * 5_000, "今" * 5_000, "́" * 5_000, "." * 5_000, "[" * 5_000, "*" * 5_000])
def test_text_without_any_place_to_cut_does_not_pile_up(text: str) -> None:
    phrasing = Phrasing()
    pieces = phrasing.feed(text)
    assert len(phrasing._pending) <= 3 * MAX_WEIGHT
    assert all(len(piece) <= 3 * MAX_WEIGHT for piece in pieces + phrasing.finish())


@pytest.mark.parametrize("text", ["", " \n", "...", "🙂", "**", "—", "## ", "\x00\x07"])
def test_nothing_to_speak_gives_no_piece(text: str) -> None:
    assert pieces_of(text) == []


def test_marks_without_words_wait_for_words() -> None:
    assert pieces_of("... Hello. ") == ["... Hello."]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**bold**, *it*, __strong__, _em_, ~~old~~ and `code`", "bold, it, strong, em, old and code"),
        ("3 * 4, 2*3, 2**3, snake_case and ~5", "3 * 4, 2*3, 2**3, snake_case and ~5"),
        ("这是**重点**内容", "这是重点内容"),
        ('see [the docs](https://x.y/a_(b) "T") now', "see the docs now"),
        ("![a cat](cat.png) sits", "a cat sits"),
        ("[laughs] and [1] (see below)", "[laughs] and [1] (see below)"),
        ("[not a link](as it seems)", "[not a link](as it seems)"),
        ("#1 of -5 degrees", "#1 of -5 degrees"),
        ("> quoted", "quoted"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b 1 2"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("above\n\n---\n\nbelow", "above below"),
        ("Title\n=====\ntext", "Title text"),
        ("half a [link", "half a [link"),
        ("half a [link](http", "half a [link](http"),
    ],
)
def test_markdown_is_not_read_aloud(written: str, spoken: str) -> None:
    assert " ".join(strip_markup(written).split()) == spoken


def test_words_are_counted_by_what_is_spoken() -> None:
    assert count_words("one — two, 3") == 3
    assert count_words("今天天气") == 2
    assert count_words("안녕 친구") == 2


# Words, marks and markdown in an order that no author would choose, and any text at all.
_SCRAPS = st.sampled_from(
    "Hello|Dr.|e.g.|U.S.|3.14|1.|1,000|?|!|.|...|…|,|;| - |—|\n|\n\n| |  |\t|\"|'|(|)|[|](|]|**|*|_|`|```|# |- |> |~~|"
    "。|，|？|你好|カタカナ|ひらがな|¿|؟|नमस्ते|।|😀|é|http://a.b/c?d=e|once upon a time".split("|")
)
_TEXTS = st.lists(_SCRAPS | st.sampled_from(["|", "x" * 90]), max_size=40).map("".join) | st.text(max_size=200)


@given(_TEXTS, st.lists(st.integers(0, 400)))
@example("[a](b\n(c", [3])
def test_pieces_do_not_depend_on_how_the_text_was_cut_into_deltas(text: str, cuts: list[int]) -> None:
    assert pieces_of(text, cuts=cuts) == pieces_of(text)


@given(_TEXTS)
def test_nothing_that_can_be_spoken_is_lost_or_repeated(text: str) -> None:
    spoken = squeezed("".join(pieces_of(text)))
    written = squeezed(strip_markup(text))
    assert written.startswith(spoken)
    assert not is_speakable(written.removeprefix(spoken))


@given(st.text(st.characters(categories=["L", "N", "P", "Z"], exclude_characters="*_~`#>-+=|[]!"), max_size=300))
def test_text_without_markdown_is_kept_to_the_character(text: str) -> None:
    assert squeezed(strip_markup(text)) == squeezed(text)


@given(_TEXTS)
def test_every_letter_and_digit_of_a_text_without_links_and_fences_is_spoken(text: str) -> None:
    plain = text.replace("](", "").replace("```", "")
    assert [c for c in "".join(pieces_of(plain)) if c.isalnum()] == [c for c in plain if c.isalnum()]


@given(_TEXTS)
def test_a_piece_is_never_empty_and_never_ends_in_a_blank(text: str) -> None:
    for piece in pieces_of(text):
        assert is_speakable(piece)
        assert piece == piece.strip()
        assert "\n" not in piece
        assert len(piece) <= 3 * MAX_WEIGHT
