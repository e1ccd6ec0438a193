"""CosyVoice with text that comes while it speaks: sentences, pieces and their places, pauses and stops."""

import gc
import math
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import Pcm, PiecePlace, Reference, SpokenStream, TextStreamer
from tests.adapters.cosyvoice_stage import Steps, opened
from tests.adapters.synthesizers import cosyvoice_folder
from tests.checkpoints.cosyvoice import recording

pytest.importorskip("hyperpyyaml", reason="CosyVoice is an extra")
pytest.importorskip("torch", reason="CosyVoice is an extra")
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

FIRST_TOKENS: Final = 25 + 3
"""A block of the flow, and as much as it looks ahead."""
CLAUSE: Final = "Well, that depends"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return opened(cosyvoice_folder(), tmp_path_factory.mktemp("cosyvoice"), text_in="stream", mode="cross_lingual")


@pytest.fixture
def steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted = Steps(model._opened.loaded.llm.llm.forward_one_step)
    monkeypatch.setattr(model._opened.loaded.llm.llm, "forward_one_step", counted)
    return counted


def begun(model: Any, *pieces: str, last: bool = False) -> SpokenStream:
    stream: SpokenStream = model.stream(language="en", speed=1.0)
    for piece in pieces:
        stream.add(piece)
    if last:
        stream.complete()
    return stream


def go_on(stream: SpokenStream) -> tuple[Pcm, list[PiecePlace]]:
    """As far as the text goes."""
    sound: list[Pcm] = [np.zeros(0, np.float32)]
    places: list[PiecePlace] = []
    while stream.has_work:
        chunk = stream.step()
        sound.append(chunk.pcm)
        places += chunk.places
    return np.concatenate(sound), places


def parts(model: Any, text: str) -> Any:
    from adapters.tts.cosyvoice_pieces import parts_of  # noqa: PLC0415  # an extra's

    return parts_of(model._opened.loaded.frontend, 0, text)


# --- as a pack says ---------------------------------------------------------------------------------------------------
def test_it_takes_whole_phrases_unless_its_pack_says_otherwise(model: Any, tmp_path: Path) -> None:
    assert isinstance(model, TextStreamer)
    assert not isinstance(opened(cosyvoice_folder(), tmp_path), TextStreamer)


def test_another_way_of_taking_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="text_in: phrase or stream is wanted"):
        opened(cosyvoice_folder(), tmp_path, text_in="letter")


def test_a_recording_is_imitated_while_text_comes(model: Any) -> None:
    before, _ = go_on(begun(model, "Yes."))
    other: Any = model.imitate(
        Reference(pcm=recording(3.0, pitch_hz=220.0), sample_rate=24_000, text="something else.")
    )
    assert other.stream
    sound, _ = go_on(begun(other, "Yes."))
    assert sound.size
    assert not np.array_equal(sound, before)
    stream = begun(other, "Yes.")
    other.close()
    with pytest.raises(SynthesisFailed, match="closed"):
        stream.step()


def test_it_speaks_in_half_precision(tmp_path: Path) -> None:
    other = opened(cosyvoice_folder(), tmp_path, dtype="bfloat16", text_in="stream")
    sound, _ = go_on(begun(other, "Yes,", "of course."))
    assert sound.size
    assert np.isfinite(sound).all()


# --- pauses, stops, faults --------------------------------------------------------------------------------------------
def test_a_pause_computes_nothing_and_a_stop_leaves_nothing(model: Any, steps: Steps) -> None:
    threads = threading.active_count()
    stream = begun(model, CLAUSE)
    stream.step()
    assert steps.count == FIRST_TOKENS
    assert threading.active_count() == threads, "a thread would go on computing"
    assert steps.caches[-1]() is not None
    stream.close()
    gc.collect()
    assert steps.caches[-1]() is None
    assert steps.count == FIRST_TOKENS


def test_where_text_is_lacking_nothing_is_computed(model: Any, steps: Steps) -> None:
    stream = begun(model, CLAUSE)
    go_on(stream)
    assert steps.count == 15 * (len(CLAUSE) // 5)
    assert not stream.has_work
    stream.add("on")
    stream.step()
    assert steps.count == 15 * (len(f"{CLAUSE} on") // 5)


def test_a_language_model_that_dies_ends_the_stream_with_its_reason(model: Any, steps: Steps) -> None:
    steps.fails_at = 10
    with pytest.raises(SynthesisFailed, match="CosyVoice: RuntimeError: no more memory"):
        begun(model, CLAUSE).step()
    steps.fails_at = math.inf
    assert begun(model, CLAUSE).step().pcm.size


# --- sentences and pieces ---------------------------------------------------------------------------------------------
def test_a_piece_keeps_its_own_end(model: Any) -> None:
    """The library's normalizer would end it with a full stop, and the voice would fall in the middle of a sentence."""
    texts = ["Well, that depends", "on what you want,", "and so on:", "(or not)", "Yes!", "no..."]
    assert [parts(model, text)[0].text for text in texts] == texts


def test_numbers_are_written_out_in_a_piece_too(model: Any) -> None:
    assert parts(model, "it costs $5,")[0].text == "it costs five dollars,"
    assert "number" in parts(model, "See No. 5,")[0].text.casefold()


@pytest.mark.parametrize(
    ("text", "read"),
    [('He said "no."', 'He said "no."'), ("No.", "no."), ("a \\ b", "a \\ b")],
)
def test_what_its_normalizer_gets_wrong_is_put_right(model: Any, text: str, read: str) -> None:
    """It says "number" for an answer, and writes a backslash before each quotation mark; in whole phrases, too."""
    from adapters.tts.cosyvoice_pieces import written_out  # noqa: PLC0415  # an extra's

    assert written_out(model._opened.loaded.frontend, text)[0].rstrip(".") == read.rstrip(".")
    assert parts(model, text)[0].text.rstrip(".") == read.rstrip(".")


def test_a_long_piece_is_cut_where_the_library_cuts_a_text(model: Any) -> None:
    """The flow computes all of a sentence anew for each chunk: without an end that would never be fast enough."""
    sentence = "This is one of very many sentences, and they go on and on, as some do."
    cut = parts(model, f"{sentence} {sentence} {sentence}")
    assert [part.text for part in cut] == [sentence] * 3
    assert [(part.is_first, part.is_last) for part in cut] == [(True, False), (False, False), (False, True)]
    _, places = go_on(begun(model, f"{sentence} {sentence}", "Yes.", last=True))
    assert [(place.index, place.end is None) for place in places] == [(0, True), (0, False), (1, True), (1, False)]


def test_a_sentence_without_an_end_is_bounded(model: Any) -> None:
    """It ends before the piece that would make it too long, with a short pause."""
    stream = begun(model, *["and they go on and on"] * 6)
    chunks = []
    while stream.has_work:
        chunks.append(stream.step())
    assert sum(chunk.anew for chunk in chunks) == 2


def test_scripts_without_blanks_get_none(model: Any) -> None:
    from adapters.tts.cosyvoice_pieces import joined  # noqa: PLC0415  # an extra's

    assert joined("你好，", "世界") == "世界"  # noqa: RUF001  # a full-width comma is meant
    assert joined("Hello", "there") == " there"
    assert joined("", "there") == "there"
    assert parts(model, "你好，")[0].text == "你好，"  # noqa: RUF001  # as above


# --- places -----------------------------------------------------------------------------------------------------------
def test_a_sentence_ends_where_its_last_piece_does(model: Any) -> None:
    """Whatever was estimated within it."""
    stream = begun(model, "Many of", "them.")
    first, _ = go_on(stream)
    stream.add("Yes.")
    second, places = go_on(stream)
    (place,) = [place for place in places if place.end is not None]
    assert (place.first, place.end) == (len(first), len(first) + len(second))


def test_no_piece_stands_before_the_model_had_read_it(model: Any) -> None:
    """By its length the second one would begin 0.3 s sooner, while the model had yet to hear of it."""
    stream = begun(model, "a" * 60)
    go_on(stream)
    stream.add("b.")
    _, places = go_on(stream)
    first = [place.first for place in places if place.end is not None]
    assert first[0] == 0
    assert first[1] >= 60 // 5 * 15 * 960 - 480
