"""The real tiny.en: words right in a short window, honest figures, errors that say what to do."""

import re
from pathlib import Path

import pytest

from adapters.asr import models
from adapters.asr.repetition import is_repetitive
from adapters.asr.whisper import WhisperRecognizer
from protocol.audio import MIC_RATE
from protocol.errors import ModelUnavailable, RecognitionFailed
from protocol.ports import Pcm
from tests.speech import click, hum, joined, noise, silence, spoken

SENTENCES = [
    "What is the weather like in Paris today?",
    "Stop.",
    "Yes.",
    "No.",
    "Okay.",
    "Wait a moment please.",
    "Thank you very much.",
    "Could you repeat that?",
    "Turn off the lights in the kitchen.",
    "How many people live in New York City?",
    "I would like to book a table for this evening.",
    "The quick brown fox jumps over the lazy dog near the river.",
    "No, I meant the other one, the blue one next to the window.",
]


@pytest.fixture(scope="module")
def whisper() -> WhisperRecognizer:
    return WhisperRecognizer()


def plain(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower()).strip()


def said(text: str) -> Pcm:
    return joined(silence(0.15), spoken(text), silence(0.25))


@pytest.mark.models
@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("final", [True, False])
def test_a_sentence_is_heard_word_for_word(whisper: WhisperRecognizer, text: str, *, final: bool) -> None:
    assert plain(whisper.transcribe(said(text), language="en", final=final).text) == plain(text)


@pytest.mark.models
def test_a_clip_of_twelve_seconds_is_heard_to_its_end(whisper: WhisperRecognizer) -> None:
    some = [SENTENCES[i] for i in (0, 8, 9, 10)]
    long = joined(*(said(text) for text in some))
    assert 8 * MIC_RATE < len(long) < 14 * MIC_RATE
    assert plain(whisper.transcribe(long, language="en", final=True).text) == " ".join(plain(text) for text in some)


@pytest.mark.models
def test_a_model_for_english_hears_english_whatever_it_is_asked(whisper: WhisperRecognizer) -> None:
    assert plain(whisper.transcribe(said("Okay."), language="de", final=True).text) == "okay"


@pytest.mark.models
@pytest.mark.parametrize(
    "sound",
    [noise(0.6), noise(0.6, level=0.2), joined(silence(0.3), click(), silence(0.5)), silence(1.0)],
    ids=["hiss", "loud hiss", "click", "silence"],
)
def test_what_is_no_speech_has_no_words_but_honest_figures(whisper: WhisperRecognizer, sound: Pcm) -> None:
    found = whisper.transcribe(sound, language="en", final=True)
    assert found.text == ""
    assert found.no_speech_prob > 0.6
    assert found.avg_logprob < -0.5


@pytest.mark.models
def test_words_are_placed_where_they_sound() -> None:
    whisper = WhisperRecognizer(words=True)
    sound = joined(silence(1.0), spoken("Yes."), silence(1.0), spoken("Turn off the lights."), silence(0.5))
    words = whisper.transcribe(sound, language="en", final=True).words
    assert [plain(word.text) for word in words] == ["yes", "turn", "off", "the", "lights"]
    second = 2.0 + len(spoken("Yes.")) / MIC_RATE
    assert words[0].end_s == pytest.approx(second - 1.0, abs=0.35)
    assert words[2].start_s == pytest.approx(second + 0.3, abs=0.35)
    whisper.close()


@pytest.mark.models
def test_a_loop_in_the_short_window_is_heard_again_in_the_full_one(
    whisper: WhisperRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int] = []
    decode = whisper._decode

    def looping(audio: Pcm, window_s: int, *rest: object) -> object:
        windows.append(window_s)
        found = decode(audio, window_s, *rest)  # type: ignore[arg-type]  # handed on as they came
        if window_s < 30:
            object.__setattr__(found, "text", "Could you repeat that? Could you repeat that?")
        return found

    monkeypatch.setattr(whisper, "_decode", looping)
    assert plain(whisper.transcribe(said(SENTENCES[7]), language="en", final=True).text) == plain(SENTENCES[7])
    assert windows == [8, 30]


@pytest.mark.models
def test_a_hum_is_cheap_even_where_the_model_babbles(whisper: WhisperRecognizer) -> None:
    found = whisper.transcribe(hum(2.0), language="en", final=False)
    assert len(found.text.split()) <= 2 * 10 + 16


@pytest.mark.models
def test_a_model_that_fails_says_so(whisper: WhisperRecognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(whisper._whisper, "encode", broken)
    with pytest.raises(RecognitionFailed, match="whisper-tiny-en: out of memory"):
        whisper.transcribe(said("Yes."), language="en", final=True)


# --- where models are found ------------------------------------------------------------------------------------------
def test_tiny_en_comes_from_its_package() -> None:
    found = models.find("tiny.en")
    assert found.model == "whisper-tiny-en"
    assert (Path(found.source) / "model.bin").is_file()
    assert models.languages("tiny.en") == ("en",)


def test_a_folder_is_a_model_when_it_holds_one(tmp_path: Path) -> None:
    folder = tmp_path / "My Base"
    folder.mkdir()
    with pytest.raises(ModelUnavailable, match=r"holds no model\.bin"):
        models.find(str(folder))
    (folder / "model.bin").write_bytes(b"weights")
    assert models.find(str(folder)).model == "whisper-my-base"
    assert "de" in models.languages(str(folder))


def test_a_folder_that_is_no_model_for_ctranslate2_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    with pytest.raises(ModelUnavailable, match="CTranslate2 cannot load"):
        WhisperRecognizer(str(tmp_path))


def test_a_name_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelUnavailable, match=r"neither a folder nor .*tiny\.en"):
        models.find("tinny")


def test_without_its_package_tiny_en_is_looked_up_in_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find_spec", lambda _name: None)
    assert not models.find("tiny.en").local
    # In this order: the library reads the variable when it is imported, and would keep what it read.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailable, match="could not be fetched from the model hub"):
        WhisperRecognizer("tiny.en")


# --- repetition ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    ["Stop. Stop. Stop.", "Could you repeat that? Could you repeat that?", "so New York City, New York City? Yes"],
)
def test_a_loop_is_recognised(text: str) -> None:
    assert is_repetitive(text)


@pytest.mark.parametrize(
    "text", ["", "No, no.", "very, very nice", "that that is is", "the blue one, the red one", "..."]
)
def test_what_people_say_is_no_loop(text: str) -> None:
    assert not is_repetitive(text)
