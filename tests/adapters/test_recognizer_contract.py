"""What every speech recognizer promises, asked of the fake and of the real one."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from adapters.asr.whisper import WhisperRecognizer
from protocol.audio import MIC_RATE
from protocol.errors import RecognitionFailed
from protocol.ids import TOKEN_PATTERN
from protocol.ports import Recognition, SpeechRecognizer
from tests.fakes.recognizer import FakeRecognizer
from tests.speech import joined, room_noise, silence, spoken

MAKERS: list[Callable[[], SpeechRecognizer]] = [FakeRecognizer, lambda: WhisperRecognizer(words=True)]
QUESTION = "What is the weather like in Paris today?"


@pytest.fixture(
    scope="module",
    params=[pytest.param(MAKERS[0], id="fake"), pytest.param(MAKERS[1], id="tiny.en", marks=pytest.mark.models)],
)
def recognizer(request: pytest.FixtureRequest) -> Iterator[SpeechRecognizer]:
    made: SpeechRecognizer = request.param()
    yield made
    made.close()


def heard(recognizer: SpeechRecognizer, *, final: bool = True) -> Recognition:
    sound = joined(silence(0.2), spoken(QUESTION), silence(0.3))
    return recognizer.transcribe(sound, language="en", final=final)


def test_its_name_is_an_id(recognizer: SpeechRecognizer) -> None:
    assert re.fullmatch(TOKEN_PATTERN, recognizer.model)


@pytest.mark.parametrize("final", [True, False])
def test_speech_gives_words_with_sane_figures(recognizer: SpeechRecognizer, *, final: bool) -> None:
    found = heard(recognizer, final=final)
    assert found.text.strip() == found.text != ""
    assert -1.0 < found.avg_logprob <= 0.0
    assert 0.0 <= found.no_speech_prob < 0.5


def test_the_same_sound_gives_the_same_words(recognizer: SpeechRecognizer) -> None:
    assert heard(recognizer) == heard(recognizer)


def test_words_come_in_order_within_the_sound(recognizer: SpeechRecognizer) -> None:
    words = heard(recognizer).words
    assert [word.text for word in words] == heard(recognizer).text.split()
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= 0.5 + len(spoken(QUESTION)) / MIC_RATE
    assert all(0.0 <= word.probability <= 1.0 for word in words)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.02, 1.0, 5.0])
def test_silence_and_next_to_nothing_give_no_words(recognizer: SpeechRecognizer, seconds: float) -> None:
    found = recognizer.transcribe(silence(seconds), language="en", final=True)
    assert (found.text, found.words) == ("", ())
    assert found.no_speech_prob > 0.5


def test_a_room_gives_no_words(recognizer: SpeechRecognizer) -> None:
    assert recognizer.transcribe(room_noise(2.0), language="en", final=True).text == ""


def test_sound_over_full_scale_does_no_harm(recognizer: SpeechRecognizer) -> None:
    loud = np.asarray(spoken(QUESTION) * 4, dtype=np.float32)
    assert recognizer.transcribe(loud, language="en", final=True).text


def test_thirty_seconds_are_heard_and_more_are_refused(recognizer: SpeechRecognizer) -> None:
    full = joined(spoken(QUESTION), silence(30 - len(spoken(QUESTION)) / MIC_RATE))
    assert recognizer.transcribe(full, language="en", final=False).text
    with pytest.raises(RecognitionFailed):
        recognizer.transcribe(joined(full, silence(1.0)), language="en", final=False)
    assert heard(recognizer).text, "it lives on"
