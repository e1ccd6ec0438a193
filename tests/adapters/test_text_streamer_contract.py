"""What every TextStreamer promises: the real ones and the fake one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import psutil
import pytest

from protocol.ports import Pcm, PiecePlace, SpokenStream, StreamedChunk, TextStreamer
from tests.adapters.streamers import STREAMERS
from tests.adapters.synthesizers import Adapter, each

PIECES: Final = ("Well, that depends", "on what you want,", "because there are ways.", "Many of", "them.")
SENTENCE: Final = PIECES[:3]
NOTHING: Final = ("", "   ", "🙂🙃", "...", "<break/>")
ODD: Final = (
    "It costs $5.20, i.e. 5 km at 9:30am;",
    "Tabs\tand\nlines\r\nand a null\x00 in between.",
    "🙂",
    "Hello 🙂 world!",
    "你好，",  # noqa: RUF001  # a full-width comma is meant
    "世界。",
    "½ × 3 = 1.5 & C++",  # noqa: RUF001  # a multiplication sign is meant
    "a" * 120,
    "\u202ereversed\u202c \ud83d cut",
    "<|endofprompt|>",
)
MOST_STEPS: Final = 2_000
GROWTH_MB: Final = 40

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=each("usual", STREAMERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


@pytest.fixture
def voice(adapter: Adapter) -> TextStreamer:
    return streamer(adapter)


def streamer(adapter: Adapter) -> TextStreamer:
    voice = adapter.make()
    assert isinstance(voice, TextStreamer)
    return voice


def begin(voice: TextStreamer, *pieces: str, last: bool = False, speed: float = 1.0) -> SpokenStream:
    stream = voice.stream(language="en", speed=speed)
    for piece in pieces:
        stream.add(piece)
    if last:
        stream.complete()
    return stream


def go_on(stream: SpokenStream) -> Iterator[StreamedChunk]:
    """As far as the text goes."""
    for _ in range(MOST_STEPS):
        if not stream.has_work:
            return
        yield stream.step()
    raise AssertionError("the stream has work for ever")


@dataclass
class Heard:
    """What came out of a stream."""

    chunks: list[StreamedChunk] = field(default_factory=list)

    def take(self, chunks: Iterator[StreamedChunk]) -> "Heard":
        self.chunks += chunks
        return self

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.float32), *(chunk.pcm for chunk in self.chunks)])

    @property
    def places(self) -> list[PiecePlace]:
        return [place for chunk in self.chunks for place in chunk.places]

    @property
    def done(self) -> list[PiecePlace]:
        return [place for place in self.places if place.end is not None]


def heard_of(voice: TextStreamer, pieces: Sequence[str]) -> Heard:
    """All of a text that is there from the beginning."""
    stream = begin(voice, *pieces, last=True)
    heard = Heard().take(go_on(stream))
    assert stream.finished
    return heard


@cache
def expected(adapter: Adapter, pieces: tuple[str, ...] = PIECES) -> Heard:
    return heard_of(streamer(adapter), pieces)


def same(one: Pcm, other: Pcm) -> bool:
    return np.array_equal(one, other)


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
    assert same(heard.take(go_on(stream)).pcm, expected(adapter).pcm)
    assert heard.done == expected(adapter).done


def test_text_in_pieces_sounds_as_text_at_once(adapter: Adapter, voice: TextStreamer) -> None:
    assert same(heard_of(voice, [" ".join(SENTENCE)]).pcm, expected(adapter, SENTENCE).pcm)


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
    assert same(heard.take(go_on(stream)).pcm, expected(adapter, SENTENCE).pcm)


def test_a_sentence_that_has_ended_waits_for_nothing(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *SENTENCE)
    heard = Heard().take(go_on(stream))
    assert same(heard.pcm, expected(adapter, SENTENCE).pcm)
    assert [place.index for place in heard.done] == [0, 1, 2]
    assert not stream.finished


def test_the_end_may_come_by_itself(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *PIECES)
    heard = Heard().take(go_on(stream))
    stream.complete()
    stream.complete()  # harmless
    assert same(heard.take(go_on(stream)).pcm, expected(adapter).pcm)
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
    assert same(heard.pcm, expected(adapter).pcm)


def test_interleaved_streams_do_not_disturb_each_other(voice: TextStreamer) -> None:
    texts = [PIECES, ("One, two, three,", "four, five."), ("Please hold on", "for a moment.")]
    alone = [heard_of(voice, text).pcm for text in texts]
    going = [(begin(voice, *text, last=True), Heard()) for text in texts]
    while any(stream.has_work for stream, _ in going):
        for stream, heard in going:
            if stream.has_work:
                heard.chunks.append(stream.step())
    for (_, heard), one in zip(going, alone, strict=True):
        assert same(heard.pcm, one)


def test_a_closed_stream_has_no_work_and_the_next_one_is_whole(adapter: Adapter, voice: TextStreamer) -> None:
    stream = begin(voice, *PIECES)
    stream.step()
    stream.close()
    stream.close()  # harmless
    stream.complete()
    assert not stream.has_work
    assert same(heard_of(voice, PIECES).pcm, expected(adapter).pcm)


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
