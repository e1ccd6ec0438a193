"""Pieces in the sound of a model that does not tell where they are."""

import pytest

from adapters.tts.piece_places import Pace, Share, ends_of, letters_of


def test_pieces_share_the_sound_by_their_length() -> None:
    assert ends_of([Share(10.0), Share(30.0), Share(0.0), Share(10.0)], 500) == [100, 400, 400, 500]


def test_none_begins_before_it_was_read() -> None:
    assert ends_of([Share(10.0), Share(10.0, earliest=300), Share(20.0)], 400) == [300, 300, 400]


def test_the_last_one_ends_with_the_sound_whatever_was_read_when() -> None:
    assert ends_of([Share(1.0), Share(1.0, earliest=900)], 400) == [400, 400]
    assert ends_of([Share(0.0), Share(0.0)], 0) == [0, 0]


@pytest.mark.parametrize(
    ("text", "letters"),
    [("", 0.0), ("yes", 4.0), ("yes, of course.", 8.0 + 3 + 11), ("你好", 7.0)],
)
def test_length_is_that_of_what_is_said(text: str, letters: float) -> None:
    assert letters_of(text) == letters


def test_a_voice_is_taken_for_an_ordinary_one_until_it_was_heard() -> None:
    pace = Pace(24_000)
    assert pace.samples(15.0) == 24_000
    pace.heard(300.0, 2 * 300 * 1_600)
    assert pace.samples(15.0) == pytest.approx(2 * 24_000, rel=0.1)
