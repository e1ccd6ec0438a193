"""What every TextStreamer promises: the real ones and the fake one."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import psutil
import pytest

from protocol.ports import TextStreamer
from tests.adapters.streamers import PIECES, SENTENCE, STREAMERS, Heard, begin, expected, go_on, heard_of, streamer
from tests.adapters.synthesizers import Adapter, each

NOTHING: Final = ("", "   ", "🙂🙃", "...", "<break/>")
ODD: Final = (
    "It costs $5.20, i.e. 5 km at 9:30am;",
    "Tabs\tand\nlines\r\nand a null\x00 in between.",
    "🙂",
    "Hello 🙂 world!",
    "你好，",  # noqa: RUF001  # a full-width comma is meant
    "世界。",
    "½ × 3 = 1.5 & C++",  # noqa: RUF001  # a multiplication sign is meant
    "a" * 70,
    "\u202ereversed\u202c \ud83d cut",
    "<|endofprompt|>",
)
GROWTH_MB: Final = 40

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=each("usual", STREAMERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


@pytest.fixture
def voice(adapter: Adapter) -> TextStreamer:
    return streamer(adapter)


# --- sound ------------------------------------------------------------------------------------------------------------
def test_chunks_are_mono_floats_within_full_scale(adapter: Adapter) -> None:
    chunks = expected(adapter).chunks
    assert sum(chunk.pcm.size > 0 for chunk in chunks) > 2
    for chunk in chunks:
        assert chunk.pcm.dtype == np.float32
        assert chunk.pcm.ndim == 1
        assert np.all(np.abs(chunk.pcm) <= 1.0)


def test_speech_begins_anew_with_each_sentence(adapter: Adapter) -> None:
    assert sum(chunk.anew for chunk in expected(adapter).chunks) == 2
    assert next(chunk for chunk in expected(adapter).chunks if chunk.pcm.size).anew


def test_the_same_pieces_give_the_same_samples_whenever_they_come(adapter: Adapter, voice: TextStreamer) -> None:
    stream, heard = begin(voice), Heard()
    for piece in PIECES:
        stream.add(piece)
        heard.take(go_on(stream))
    stream.complete()
    assert np.array_equal(heard.take(go_on(stream)).pcm, expected(adapter).pcm)
    assert heard.done == expected(adapter).done


def test_text_in_pieces_sounds_as_text_at_once(adapter: Adapter, voice: TextStreamer) -> None:
    assert np.array_equal(heard_of(voice, [" ".join(SENTENCE)]).pcm, expected(adapter, SENTENCE).pcm)


def test_faster_speech_is_shorter(adapter: Adapter, voice: TextStreamer) -> None:
    fast = Heard().take(go_on(begin(voice, *SENTENCE, last=True, speed=1.6)))
    assert len(fast.pcm) < 0.8 * len(expected(adapter, SENTENCE).pcm)


@pytest.mark.parametrize("text", ["I", "Yes", "No.", "好"])
def test_the_shortest_text_is_spoken(voice: TextStreamer, text: str) -> None:
    assert len(heard_of(voice, [text]).pcm)


def test_odd_pieces_are_spoken_to_the_end_or_passed_over(voice: TextStreamer) -> None:
    heard = heard_of(voice, ODD)
    assert np.all(np.isfinite(heard.pcm))
    assert [place.index for place in heard.done] == list(range(len(ODD)))


def test_a_very_long_piece_begins_soon_and_can_be_dropped(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, "This is one of very many sentences, and they go on. " * 76)
    first = next(chunk for chunk in go_on(stream) if chunk.pcm.size)
    assert len(first.pcm) / adapter.make().sample_rate < adapter.first_chunk_s
    stream.close()


# --- text that is lacking ---------------------------------------------------------------------------------------------
def test_without_text_there_is_nothing_to_do(voice: TextStreamer) -> None:
    stream = begin(voice)
    assert not stream.has_work
    assert not stream.finished


def test_it_speaks_before_it_knows_the_rest_and_waits_where_that_is_lacking(
    adapter: Adapter, voice: TextStreamer
) -> None:
    stream = begin(voice, *SENTENCE[:2])
    heard = Heard().take(go_on(stream))
    assert 0 < len(heard.pcm) < len(expected(adapter, SENTENCE).pcm)
    assert not stream.has_work
    assert not stream.finished
    stream.add(SENTENCE[2])
    stream.complete()
    assert np.array_equal(heard.take(go_on(stream)).pcm, expected(adapter, SENTENCE).pcm)


def test_a_sentence_that_has_ended_waits_for_nothing(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *SENTENCE)
    heard = Heard().take(go_on(stream))
    assert np.array_equal(heard.pcm, expected(adapter, SENTENCE).pcm)
    assert [place.index for place in heard.done] == [0, 1, 2]
    assert not stream.finished


def test_the_end_may_come_by_itself(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *PIECES)
    heard = Heard().take(go_on(stream))
    stream.complete()
    stream.complete()  # harmless
    assert np.array_equal(heard.take(go_on(stream)).pcm, expected(adapter).pcm)
    assert stream.finished


def test_no_text_at_all_is_no_sound(voice: TextStreamer) -> None:
    assert heard_of(voice, []).chunks[-1].pcm.size == 0


@pytest.mark.parametrize("before", [(), SENTENCE[:1]], ids=["alone", "within a sentence"])
def test_pieces_without_anything_to_say_have_a_place_without_length(voice: TextStreamer, before: Sequence[str]) -> None:
    heard = heard_of(voice, [*before, *NOTHING])
    assert [place.index for place in heard.done] == list(range(len(before) + len(NOTHING)))
    if not before:
        assert not len(heard.pcm)
        assert {(place.first, place.end) for place in heard.done} == {(0, 0)}


# --- pauses, stops, others --------------------------------------------------------------------------------------------
def test_a_pause_after_any_step_changes_nothing(adapter: Adapter, voice: TextStreamer) -> None:
    """Others speak meanwhile."""
    stream, heard = begin(voice, *PIECES, last=True), Heard()
    while stream.has_work:
        heard.chunks.append(stream.step())
        other = begin(voice, "Wait.")
        other.step()
        other.close()
    assert np.array_equal(heard.pcm, expected(adapter).pcm)


def test_interleaved_streams_do_not_disturb_each_other(voice: TextStreamer) -> None:
    texts = [PIECES, ("One, two, three,", "four, five."), ("Please hold on", "for a moment.")]
    alone = [heard_of(voice, text).pcm for text in texts]
    going = [(begin(voice, *text, last=True), Heard()) for text in texts]
    while any(stream.has_work for stream, _ in going):
        for stream, heard in going:
            if stream.has_work:
                heard.chunks.append(stream.step())
    for (_, heard), one in zip(going, alone, strict=True):
        assert np.array_equal(heard.pcm, one)


def test_a_closed_stream_has_no_work_and_the_next_one_is_whole(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *PIECES)
    stream.step()
    stream.close()
    stream.close()  # harmless
    stream.complete()
    assert not stream.has_work
    assert np.array_equal(heard_of(voice, PIECES).pcm, expected(adapter).pcm)


@pytest.mark.parametrize("adapter", each("thousand", STREAMERS))
def test_streams_begun_and_dropped_leave_nothing(adapter: Adapter) -> None:
    voice, process = streamer(adapter), psutil.Process()
    threads = grown_from = 0
    for i in range(adapter.starts):
        stream = begin(voice, "Yes.")
        stream.step()
        stream.close()
        if i == adapter.starts // 5:
            threads, grown_from = process.num_threads(), process.memory_info().rss
    assert process.num_threads() <= threads
    assert (process.memory_info().rss - grown_from) / 1e6 < GROWTH_MB


# --- places -----------------------------------------------------------------------------------------------------------
def test_each_piece_begins_and_ends_once_in_order_and_they_fill_the_sound(adapter: Adapter) -> None:
    heard, everyone = expected(adapter), list(range(len(PIECES)))
    assert [place.index for place in heard.done] == everyone
    assert [place.index for place in heard.places if place.end is None] == everyone
    here = 0
    for place in heard.done:
        assert place.first == here
        assert place.end is not None
        assert place.end > place.first
        here = place.end
    assert here == len(heard.pcm)


def test_places_are_told_in_time(adapter: Adapter) -> None:
    """That a piece begins, before more than its first chunk is made; that it is complete, not before all of it is."""
    made, told = 0, -1
    for chunk in expected(adapter).chunks:
        for place in chunk.places:
            if place.end is None:
                assert told <= place.first <= made + len(chunk.pcm)
                told = place.first
            else:
                assert place.end <= made + len(chunk.pcm)
        made += len(chunk.pcm)
