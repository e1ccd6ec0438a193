"""The recognizer's actor, stepped by hand: one answer for each request, whatever the model does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actors.asr import AsrActor, Ready, Transcribed, Transcribing
from actors.mailbox import Mailbox
from actors.transcripts import failure, transcript
from protocol.errors import ModelUnavailable, RecognitionFailed
from protocol.hearing import FinalTranscript, HeardWord, PartialTranscript, Transcribe, TranscriptionFailed
from protocol.ids import Samples, SessionId
from protocol.ports import Recognition, RecognizedWord, SpeechRecognizer
from tests.fakes.recognizer import FakeRecognizer, loading
from tests.speech import as_s16

SID = SessionId("s-1")
LOUD = as_s16(np.full(3_200, 0.5, dtype=np.float32))
ASKED = Transcribe(session=SID, request=7, first=Samples(16_000), end=Samples(19_200), final=True)


class InPlace(Mailbox):
    """Calls at once: a test has one thread."""

    def __init__(self) -> None:
        """No loop."""

    def post(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)


class Desk:
    """A stepped actor and what it posted."""

    def __init__(self, load: Callable[[], SpeechRecognizer]) -> None:
        self.ready: list[Ready | ModelUnavailable] = []
        self.done: list[Transcribed] = []
        self.actor = AsrActor(load, InPlace(), on_ready=self.ready.append, on_transcribed=self.done.append)
        self.actor.on_start()

    def ask(self, request: Transcribe = ASKED, pcm: bytes = LOUD) -> Transcribed:
        self.actor.on_receive(Transcribing(request, pcm))
        return self.done[-1]


def test_it_loads_warms_up_and_says_what_that_cost() -> None:
    recognizer = FakeRecognizer()
    desk = Desk(loading(recognizer))
    ready = desk.ready[0]
    assert isinstance(ready, Ready)
    assert ready.model == "whisper-fake"
    assert ready.warm_up_sound_ms == 2_000
    assert recognizer.calls == [(32_000, "en", True)] * 2


@pytest.mark.parametrize("error", [ModelUnavailable("no files"), OSError("no files")])
def test_a_model_that_cannot_be_loaded_is_told_not_raised(error: Exception) -> None:
    def load() -> SpeechRecognizer:
        raise error

    outcome = Desk(load).ready[0]
    assert isinstance(outcome, ModelUnavailable)
    assert "no files" in str(outcome)


def test_a_request_is_answered_with_what_was_heard() -> None:
    recognizer = FakeRecognizer()
    done = Desk(loading(recognizer)).ask()
    assert done.request == ASKED
    assert isinstance(done.result, Recognition)
    assert done.result.text == "word word"
    assert done.compute_ms >= 0
    assert recognizer.calls[-1] == (3_200, "en", True)


@pytest.mark.parametrize("error", [RecognitionFailed("too long"), MemoryError("too long"), ValueError("too long")])
def test_a_failing_model_is_reported_and_asked_again(error: Exception) -> None:
    recognizer = FakeRecognizer()
    desk = Desk(loading(recognizer))
    recognizer.breaks = error
    failed = desk.ask()
    assert isinstance(failed.result, str)
    assert "too long" in failed.result
    assert isinstance(desk.ask().result, Recognition)


def test_the_memory_is_given_back_at_the_end() -> None:
    recognizer = FakeRecognizer()
    Desk(loading(recognizer)).actor.on_stop()
    assert recognizer.closed


def heard(text: str = "hello", *, final: bool = True, logprob: float = -0.3) -> Transcribed:
    request = Transcribe(session=SID, request=7, first=Samples(16_000), end=Samples(48_000), final=final)
    words = (RecognizedWord(text="hello", start_s=0.5, end_s=9.0, probability=1.01),)
    return Transcribed(request, Recognition(text=text, avg_logprob=logprob, no_speech_prob=0.1, words=words), 42.0)


def test_a_transcript_places_its_words_within_the_session_s_sound() -> None:
    message = transcript(heard())
    assert isinstance(message, FinalTranscript)
    assert (message.session, message.request, message.first, message.end) == (SID, 7, 16_000, 48_000)
    assert message.words == (HeardWord(text="hello", first=Samples(24_000), end=Samples(48_000), probability=1.0),)
    assert (message.text, message.avg_logprob, message.compute_ms) == ("hello", -0.3, 42.0)


def test_a_partial_request_gives_a_partial_transcript() -> None:
    assert isinstance(transcript(heard(final=False)), PartialTranscript)


def test_a_figure_that_json_cannot_carry_is_replaced() -> None:
    message = transcript(heard(logprob=float("-inf")))
    assert isinstance(message, FinalTranscript)
    assert message.avg_logprob == -100.0


def test_a_failure_names_its_request_and_fits_its_message() -> None:
    message = transcript(Transcribed(ASKED, "x" * 5_000, 1.0))
    assert message == failure(ASKED, "recognition-failed", "x" * 1_000)
    assert isinstance(message, TranscriptionFailed)
