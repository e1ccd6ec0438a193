"""Pieces in the sound of a model that does not tell where they are."""

import numpy as np
import pytest

from adapters.tts.loading import load_synthesizer
from adapters.tts.piece_places import Pace, Share, ends_of, letters_of
from adapters.voicepacks import find_packs

SENTENCES = (
    ("Well, that depends on what you want,", "because there are many ways to do it,", "and some of them take long."),
    ("If you leave now,", "you will be there before it gets dark."),
    ("The museum opens at nine,", "closes at half past five,", "and is free on the first Sunday of each month."),
    ("I looked it up,", "and the answer is forty two."),
    ("To make a good bread,", "you need flour, water, salt,", "and a great deal of patience."),
    ("In nineteen sixty nine,", "two people walked on the moon,", "while a third one waited above."),
    ("Yes,", "of course I can do that for you."),
    ("Although it rained,", "the children who live next door", "played until their mother called them in."),
    ("First, open the lid;", "then take out the old battery,", "and put the new one in its place."),
    ("My favourite,", "if I may say so,", "is the second one."),
)


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


@pytest.mark.models
def test_pieces_are_where_a_voice_says_them_within_a_second() -> None:
    """By one that tells: what docs/voices.md says of the estimate's error."""
    pack = find_packs().get("hibari-heart")
    assert pack is not None
    voice = load_synthesizer(pack)
    errors: list[float] = []
    for pieces in SENTENCES:
        chunks = list(voice.synthesize(" ".join(pieces), language="en", speed=1.0))
        words = next(chunk.words for chunk in chunks if chunk.words)
        ends = ends_of([Share(letters_of(piece)) for piece in pieces], sum(len(chunk.pcm) for chunk in chunks))
        spoken = 0
        for piece, end in zip(pieces[:-1], ends, strict=False):
            spoken += len(piece.split())
            errors.append(abs(end - words[spoken].first) / voice.sample_rate)
    assert np.median(errors) < 0.25
    assert max(errors) < 1.0
