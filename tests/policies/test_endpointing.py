import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.policies.endpointing import LONGEST, SHORTEST, is_open_ended, silence_needed
from protocol.ids import Millis

BASE = Millis(500)


def needed(text: str, base: Millis = BASE, language: str = "en", completeness: float | None = None) -> int:
    return silence_needed(text, base=base, language=language, completeness=completeness)


@pytest.mark.parametrize(
    "text",
    ["What time is it?", "Tell me a story about a dog.", "What's the weather like?", "Is that so?", "Come in.", "Yes."],
)
def test_a_whole_sentence_needs_the_sessions_silence(text: str) -> None:
    assert needed(text) == BASE
    assert not is_open_ended(text, language="en")


@pytest.mark.parametrize("text", ["Hello.", "Hi there.", "Excuse me.", "Okay, so.", "Good morning."])
def test_after_a_greeting_people_go_on(text: str) -> None:
    assert needed(text) == 900


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of?",
        "I want to go to Paris and...",
        "My question is...",
        "How long does it take to?",
        "And what about the...",
        "Well, I was thinking,",
        "Hold on, I have a-",
    ],
)
def test_a_text_that_dangles_needs_a_second_more(text: str) -> None:
    assert needed(text) == 1_500
    assert is_open_ended(text, language="en")


def test_a_hesitation_needs_most() -> None:
    assert needed("So, um...") == 2_000


def test_other_languages_dangle_too() -> None:
    assert needed("Ich möchte nach Paris und", language="de-AT") == 1_500
    assert needed("Ich möchte nach Paris und", language="ja") == BASE


@pytest.mark.parametrize(("completeness", "ms"), [(1.0, 200), (0.75, 350), (0.5, 500), (0.25, 1_750), (0.0, 3_000)])
def test_a_turn_detector_is_believed_by_degrees(completeness: float, ms: int) -> None:
    assert needed("and the", completeness=completeness) == ms


@given(st.text(max_size=40), st.integers(200, 3_000), st.none() | st.floats(-1, 2))
def test_the_limits_always_hold(text: str, base: int, completeness: float | None) -> None:
    assert SHORTEST <= needed(text, Millis(base), completeness=completeness) <= LONGEST
