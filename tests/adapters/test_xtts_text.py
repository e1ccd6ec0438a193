"""What XTTS is told to say. Without torch: the tokenizer is one of letters."""

import pytest

from adapters.tts.xtts_text import encoded, language_of, spoken_pieces
from protocol.errors import SynthesisFailed

KNOWN = ["en", "es", "zh-cn", "ja"]


class Letters:
    """A token for each letter. As the library's tokenizer, it knows how much of a language it speaks well at once."""

    def __init__(self, missing: str = "") -> None:
        self.char_limits = {"en": 250, "zh": 82}
        self._missing = missing

    def encode(self, text: str, lang: str) -> list[int]:
        if lang == self._missing:
            raise ImportError("Chinese requires: pypinyin")
        return [ord(c) for c in text]

    def preprocess_text(self, text: str, _language: str) -> str:
        return text.replace("5", "five")


def cut(text: str, limit: int) -> list[str]:
    return list(spoken_pieces(text, limit=limit))


@pytest.mark.parametrize(
    ("code", "language"), [("en", "en"), ("en-GB", "en"), ("zh", "zh"), ("zh-CN", "zh"), ("zh-Hant-TW", "zh")]
)
def test_a_language_is_known_by_its_first_part(code: str, language: str) -> None:
    assert language_of(code, KNOWN) == language


def test_a_language_that_is_not_spoken_is_refused_and_the_others_are_named() -> None:
    with pytest.raises(SynthesisFailed, match=r"does not speak 'sv-SE', but en, es, ja, zh"):
        language_of("sv-SE", KNOWN)


def test_a_long_phrase_is_cut_at_sentences_else_clauses_else_words_else_anywhere() -> None:
    assert cut("One two. Three four five, six seven.", 30) == ["One two. Three four five,", "six seven."]
    assert cut("One two three. Four five six, seven.", 30) == ["One two three.", "Four five six, seven."]
    assert cut("one two three four", 10) == ["one two", "three four"]
    assert cut("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert cut("今天天气很好。我们去公园吧，好不好？", 10) == ["今天天气很好。", "我们去公园吧，", "好不好？"]  # noqa: RUF001  # as written


def test_nothing_of_a_long_text_is_lost() -> None:
    text = "This is one of very many sentences, and they go on; nobody knows for how long. " * 20
    pieces = cut(text, 250)
    assert " ".join(pieces) == text.strip()
    assert max(map(len, pieces)) <= 250


def test_what_stands_in_brackets_is_no_command() -> None:
    assert cut("Say [STOP] now.", 250) == ["Say  STOP  now."]


def test_nothing_to_say_gives_nothing() -> None:
    assert cut("...", 250) == cut("🙂", 250) == cut("", 250) == []


def test_many_digits_are_said_one_by_one() -> None:
    assert cut("1234567890123 and 12", 250) == ["1 2 3 4 5 6 7 8 9 0 1 2 3 and 12"]


def test_the_limit_is_the_languages_own() -> None:
    text = "word " * 40
    assert len(list(encoded(Letters(), text, "en", 400))) == 1
    assert len(list(encoded(Letters(), text, "zh", 400))) == 3


def test_a_piece_of_too_many_tokens_is_cut_again() -> None:
    pieces = list(encoded(Letters(), "one two three four five six.", "en", 12))
    assert " ".join(piece.text for piece in pieces) == "one two three four five six."
    assert all(len(piece.tokens) < 12 for piece in pieces)


def test_a_piece_is_as_long_as_it_is_spelled_out() -> None:
    (piece,) = encoded(Letters(), "5 5", "en", 400)
    assert piece.spelled == len("five five")


def test_a_package_that_is_missing_is_named_with_what_brings_it() -> None:
    with pytest.raises(SynthesisFailed, match=r"pypinyin\): install coqui-tts\[zh\]"):
        list(encoded(Letters(missing="zh"), "你好", "zh", 400))


class CannotCount(Letters):
    """As the library's in Czech and Hindi."""

    def encode(self, text: str, lang: str) -> list[int]:
        if lang == "cs" and "2." in text:
            raise NotImplementedError
        if lang == "hi" and any(c.isdigit() for c in text):
            raise NotImplementedError
        if lang == "sl":
            raise ValueError("no numbers")
        return super().encode(text, lang)


@pytest.mark.parametrize(("language", "read"), [("cs", "je 12 ."), ("hi", "je एक दो .")])
def test_numbers_that_the_library_cannot_read_are_made_easier(language: str, read: str) -> None:
    (piece,) = encoded(CannotCount(), "je 12.", language, 400)
    assert "".join(map(chr, piece.tokens)) == read


def test_what_it_cannot_read_in_any_way_is_a_failed_synthesis() -> None:
    for text in ("12", "twelve"):
        with pytest.raises(SynthesisFailed, match=r"cannot spell this out in 'sl': .*no numbers"):
            list(encoded(CannotCount(), text, "sl", 400))
