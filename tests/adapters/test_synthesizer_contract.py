"""What every Synthesizer promises: the real voices and the fake one."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest

from protocol.ports import Pcm, PcmChunk, Synthesizer
from tests.adapters.remains import Remains
from tests.adapters.synthesizers import ADAPTERS, Adapter, each
from tests.e2e.ears import words_in, words_of

SENTENCE = "The quick brown fox jumps over the lazy dog near the river."
NOTHING_TO_SAY = ["", "   ", "\n\t", "🙂🙃", "\x00\x07\x1b", "...", "(((", "<break/>"]
ODD = [
    "It costs $5.20, i.e. 5 km at 9:30am; see https://example.com/x?y=1 now.",
    "Tabs\tand\nlines\r\nand a null\x00 in between.",
    "Hello 🙂 world!",
    "Hello, 你好, привет, ¿qué tal?, مرحبا and שלום.",
    "[[h@loU]] [link](/x/) {braces} \\backslash",
    "naïve café — 日本語, “quoted”…",
    "½ × 3 = 1.5 & C++",  # noqa: RUF001  # a multiplication sign is meant
    "a" * 500,
    "no end " * 60,
    "\u202ereversed\u202c \ud83d cut",
]
PIECES = ["Well, that depends on what you want,", "because there are many ways,", "and some of them are long."]
MARKED_UP = "<speak>Hello there, <break time='1s'/> my <emphasis level='strong'>dear</emphasis> friend.</speak>"
PLAIN = "Hello there, my dear friend."


@pytest.fixture(params=each())
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


@pytest.fixture
def voice(adapter: Adapter) -> Synthesizer:
    return adapter.make()


any_adapter = pytest.mark.parametrize("adapter", each("brief"))
"""For what costs no more than the one sentence that is spoken once for all tests."""


def speak(voice: Synthesizer, text: str, *, speed: float = 1.0) -> Iterator[PcmChunk]:
    return iter(voice.synthesize(text, language="en", speed=speed))


def drop(going: Iterator[PcmChunk]) -> None:
    going.close()  # type: ignore[attr-defined]  # adapters give generators


def sound(chunks: list[PcmChunk]) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in chunks])


@cache
def sentence(adapter: Adapter) -> list[PcmChunk]:
    return list(speak(adapter.make(), SENTENCE))


def assert_same(adapter: Adapter, heard: Pcm, expected: Pcm) -> None:
    if adapter.repeatable:
        assert np.array_equal(heard, expected)
    else:
        assert len(heard) == pytest.approx(len(expected), rel=0.2)


def audible(pcm: Pcm, rate: int) -> npt.NDArray[np.bool_]:
    """For each window of 5 ms whether it is above -50 dBFS once the voice is as loud as it will be (10 dB up)."""
    window = rate // 200
    whole = len(pcm) // window
    squares = np.square(pcm[: whole * window]).reshape(whole, window).mean(axis=1)
    loud: npt.NDArray[np.bool_] = squares > 10.0**-6
    return loud


def understood(pcm: Pcm, rate: int) -> list[str]:
    return words_in((np.clip(pcm, -1.0, 1.0) * 32_767).astype(np.int16), rate)


def wrong_words(heard: list[str], said: list[str]) -> int:
    """Words put in, left out or changed."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(heard, 1):
        before, row = row, [i]
        for j, other in enumerate(said, 1):
            row.append(min(row[-1] + 1, before[j] + 1, before[j - 1] + (word != other)))
    return row[-1]


@any_adapter
def test_chunks_are_mono_floats_within_full_scale(adapter: Adapter) -> None:
    chunks = sentence(adapter)
    assert len(chunks) > 1
    for chunk in chunks:
        assert chunk.pcm.dtype == np.float32
        assert chunk.pcm.ndim == 1
        assert chunk.pcm.size
        assert np.all(np.abs(chunk.pcm) <= 1.0)
    assert 2.0 < len(sound(chunks)) / adapter.make().sample_rate < 6.0


@any_adapter
def test_the_sound_begins_at_once_and_ends_with_a_pause(adapter: Adapter) -> None:
    rate = adapter.make().sample_rate
    loud = np.flatnonzero(audible(sound(sentence(adapter)), rate))
    whole = len(sound(sentence(adapter))) // (rate // 200)
    assert loud[0] * 5 <= 60
    assert (whole - loud[-1]) * 5 <= 400


@pytest.mark.parametrize("adapter", each("brief", [a for a in ADAPTERS if a.is_understood]))
def test_what_is_said_is_understood(adapter: Adapter) -> None:
    """By Whisper tiny, which takes an odd word for another one even in a human's mouth: one of twelve."""
    heard = understood(sound(sentence(adapter)), adapter.make().sample_rate)
    assert wrong_words(heard, words_of(SENTENCE)) <= 1, heard


@pytest.mark.parametrize("adapter", [a for a in each() if a.values[0].repeatable])
def test_the_same_text_gives_the_same_samples(adapter: Adapter) -> None:
    assert np.array_equal(sound(list(speak(adapter.make(), SENTENCE))), sound(sentence(adapter)))


def test_a_pause_after_any_chunk_changes_nothing(adapter: Adapter, voice: Synthesizer) -> None:
    whole = sentence(adapter)
    for pause_at in range(len(whole)):
        going = speak(voice, SENTENCE)
        heard = [next(going) for _ in range(pause_at)]
        other = speak(voice, "Wait.")
        next(other)
        drop(other)
        heard += list(going)
        assert_same(adapter, sound(heard), sound(whole))


def test_interleaved_phrases_do_not_disturb_each_other(adapter: Adapter, voice: Synthesizer) -> None:
    texts = [SENTENCE, "One, two, three, four, five.", "Please hold on for a moment."]
    alone = [sound(list(speak(voice, text))) for text in texts]
    together: list[list[PcmChunk]] = [[] for _ in texts]
    going = {i: speak(voice, text) for i, text in enumerate(texts)}
    while going:
        for i in tuple(going):
            chunk = next(going[i], None)
            if chunk is None:
                del going[i]
            else:
                together[i].append(chunk)
    for one, expected in zip(together, alone, strict=True):
        assert_same(adapter, sound(one), expected)


def test_a_closed_phrase_gives_nothing_more_and_the_next_one_is_whole(adapter: Adapter, voice: Synthesizer) -> None:
    cut = speak(voice, SENTENCE)
    next(cut)
    drop(cut)
    drop(cut)  # closing twice is harmless
    assert next(cut, None) is None
    assert_same(adapter, sound(list(speak(voice, SENTENCE))), sound(sentence(adapter)))


def test_text_in_pieces_is_about_as_long_as_text_at_once(adapter: Adapter, voice: Synthesizer) -> None:
    at_once = sound(list(speak(voice, " ".join(PIECES))))
    in_pieces = sound([chunk for piece in PIECES for chunk in speak(voice, piece)])
    assert len(in_pieces) == pytest.approx(len(at_once), rel=0.25)
    if adapter.is_understood:
        said = words_of(" ".join(PIECES))
        for heard in (at_once, in_pieces):
            assert wrong_words(understood(heard, voice.sample_rate), said) <= len(said) // 8


@any_adapter
@pytest.mark.parametrize("text", NOTHING_TO_SAY, ids=repr)
def test_text_without_anything_to_speak_gives_no_chunk(adapter: Adapter, text: str) -> None:
    assert list(speak(adapter.make(), text)) == []


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text)[:30])
def test_odd_text_is_spoken_or_passed_over(voice: Synthesizer, text: str) -> None:
    for chunk in islice(speak(voice, text), 8):
        assert np.all(np.isfinite(chunk.pcm))
        assert np.all(np.abs(chunk.pcm) <= 1.0)


def test_tags_are_not_spoken_and_what_stands_between_them_is(adapter: Adapter, voice: Synthesizer) -> None:
    """Nobody wants to hear "less than break time equals"; nor does a tag do anything: no voice here reads SSML."""
    marked_up, plain = (sound(list(speak(voice, text))) for text in (MARKED_UP, PLAIN))
    assert len(marked_up) == pytest.approx(len(plain), rel=0.25)
    if adapter.is_understood:
        heard = understood(marked_up, voice.sample_rate)
        assert wrong_words(heard, words_of(PLAIN)) <= 1, heard


def test_a_comparison_is_not_taken_for_a_tag(voice: Synthesizer) -> None:
    short, long = (len(sound(list(speak(voice, text)))) for text in ("If five", "If five < seven, and ten > nine"))
    assert long > 1.5 * short


def test_a_very_long_text_begins_soon_and_can_be_dropped(adapter: Adapter, voice: Synthesizer) -> None:
    going = speak(voice, "This is one of very many sentences, and they go on. " * 76)
    assert next(going).pcm.size / voice.sample_rate < adapter.first_chunk_s
    drop(going)


def test_faster_speech_is_shorter(adapter: Adapter, voice: Synthesizer) -> None:
    fast = len(sound(list(speak(voice, SENTENCE, speed=1.6))))
    if not adapter.knows_speed:
        assert fast == len(sound(sentence(adapter)))
        return
    assert fast < 0.8 * len(sound(sentence(adapter)))


@pytest.mark.parametrize(
    "text", [SENTENCE, "Dr. Smith paid $5.20 at 9:30am. He was tired.", "One of the boys is at the end of the road."]
)
def test_each_word_has_its_place_in_order(adapter: Adapter, voice: Synthesizer, text: str) -> None:
    if not adapter.tells_words:
        assert not any(chunk.words for chunk in speak(voice, text))
        return
    chunks = sentence(adapter) if text == SENTENCE else list(speak(voice, text))
    words = [chunk.words for chunk in chunks if chunk.words][-1]
    assert [word.text for word in words] == text.split()
    here = 0
    for word in words:
        assert here <= word.first < word.end
        here = word.end
    assert here <= len(sound(chunks))


@pytest.mark.parametrize("adapter", each("brief", [a for a in ADAPTERS if a.tells_words]))
def test_words_are_where_the_sound_is(adapter: Adapter) -> None:
    rate = adapter.make().sample_rate
    loud = audible(sound(sentence(adapter)), rate)
    for word in [chunk.words for chunk in sentence(adapter) if chunk.words][-1]:
        window = rate // 200
        assert loud[word.first // window : word.end // window].mean() > 0.5, word.text


@pytest.mark.parametrize("adapter", each("thousand"))
def test_phrases_begun_and_dropped_leave_nothing(adapter: Adapter) -> None:
    voice = adapter.make()
    first = adapter.starts // 5
    begin_and_drop(voice, first)
    before = Remains.now()
    begin_and_drop(voice, adapter.starts - first)
    after = Remains.now()
    assert after.threads <= before.threads
    after.assert_no_more_than(before, starts=adapter.starts - first)


def begin_and_drop(voice: Synthesizer, times: int) -> None:
    for _ in range(times):
        going = speak(voice, "Yes.")
        next(going)
        drop(going)
