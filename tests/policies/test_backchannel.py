"""Transcripts as Whisper tiny.en really wrote them, of synthetic voices, hums and noise."""

import pytest

from actors.policies.backchannel import Said, judge, only_fillers
from actors.policies.words import bare_words

# text, ms of sound, mean log-probability, no-speech probability
HUMS = [
    ("Mama", 330, -0.82, 0.15),
    ("Mom.", 360, -0.89, 0.14),
    ("and I'm on", 470, -0.98, 0.15),
    ("And then make it.", 400, -0.53, 0.31),
    ("and then make sure.", 600, -0.51, 0.24),
    ("And then make a chance.", 700, -0.55, 0.12),
    ("It has.", 400, -0.57, 0.20),
    ("It hurt us.", 400, -0.39, 0.10),
    ("Man, look, man.", 590, -1.12, 0.15),
    ("MMHM MMHM", 1_650, -0.69, 0.09),
    ("Emily", 310, -1.18, 0.12),
    ("L", 280, -1.37, 0.19),
    ("HM", 440, -0.46, 0.30),
    ("Mm-hmm.", 600, -0.56, 0.89),
    ("Okay.", 400, -1.26, 0.88),
    ("Uh-huh.", 600, -0.30, 0.20),
]
FILLERS = [
    ("Yeah.", 270, -0.30, 0.36),
    ("Yes.", 400, -0.26, 0.54),
    ("Right.", 400, -0.37, 0.19),
    ("Okay, okay.", 920, -0.29, 0.17),
    ("Oh, I see.", 680, -0.21, 0.16),
    ("Got it.", 440, -0.20, 0.16),
    ("Oh really?", 600, -0.26, 0.10),
    ("That's right.", 700, -0.12, 0.10),
    ("Yeah, I know.", 780, -0.16, 0.13),
    ("Well...", 320, -0.53, 0.12),
]
NOISES = [
    ("You", 100, -1.59, 0.86),
    (".", 100, -1.53, 0.86),
    ("you", 600, -1.40, 0.88),
    ("Thank you.", 250, -0.71, 0.86),
    ("You", 1_200, -1.25, 0.85),
    (".", 1_000, -1.19, 0.93),
    ("And" + " make sure to" * 40, 1_040, -0.13, 0.14),
    ("", 500, 0.0, 1.0),
]
INTERRUPTIONS = [
    ("Stop.", 400, -0.37, 0.15),
    ("Stop.", 300, -0.49, 0.46),
    ("Wait.", 250, -0.67, 0.36),
    ("No.", 280, -0.33, 0.16),
    ("Hold up.", 300, -0.39, 0.31),
    ("Wait a second.", 300, -0.64, 0.21),
    ("What?", 260, -0.33, 0.41),
    ("What about?", 400, -0.23, 0.15),
    ("Tell me about...", 600, -0.19, 0.08),
    ("How much is that?", 600, -0.23, 0.20),
    ("Cancel that.", 740, -0.44, 0.09),
    ("Yeah, stop.", 940, -0.27, 0.13),
    ("Okay, but what about tomorrow?", 1_580, -0.12, 0.06),
    ("Actually, I want...", 900, -0.39, 0.23),
    ("Thank you.", 460, -0.15, 0.11),
    ("How much is that in your eyes?", 1_360, -0.47, 0.03),
]


def over_reply(text: str, voiced_ms: int, quality: float, noise: float, language: str = "en") -> Said:
    return judge(
        text, language=language, voiced_ms=voiced_ms, avg_logprob=quality, no_speech_prob=noise, over_reply=True
    )


def in_silence(text: str, voiced_ms: int, quality: float, noise: float) -> Said:
    return judge(text, language="en", voiced_ms=voiced_ms, avg_logprob=quality, no_speech_prob=noise, over_reply=False)


@pytest.mark.parametrize(("text", "ms", "quality", "noise"), HUMS)
def test_a_hum_is_no_interruption_whatever_the_model_hears_in_it(
    text: str, ms: int, quality: float, noise: float
) -> None:
    assert over_reply(text, ms, quality, noise) is not Said.WORDS


@pytest.mark.parametrize(("text", "ms", "quality", "noise"), FILLERS)
def test_a_filler_is_a_backchannel_while_we_speak(text: str, ms: int, quality: float, noise: float) -> None:
    assert over_reply(text, ms, quality, noise) is Said.BACKCHANNEL


@pytest.mark.parametrize(("text", "ms", "quality", "noise"), FILLERS)
def test_the_same_filler_is_an_answer_while_we_are_silent(text: str, ms: int, quality: float, noise: float) -> None:
    assert in_silence(text, ms, quality, noise) is Said.WORDS


@pytest.mark.parametrize(("text", "ms", "quality", "noise"), NOISES)
def test_noise_is_nothing(text: str, ms: int, quality: float, noise: float) -> None:
    assert over_reply(text, ms, quality, noise) is Said.NOTHING
    assert in_silence(text, ms, quality, noise) is Said.NOTHING


@pytest.mark.parametrize(("text", "ms", "quality", "noise"), INTERRUPTIONS)
def test_real_words_interrupt(text: str, ms: int, quality: float, noise: float) -> None:
    assert over_reply(text, ms, quality, noise) is Said.WORDS
    assert in_silence(text, ms, quality, noise) is Said.WORDS


def test_a_hesitation_is_no_answer() -> None:
    assert in_silence("Um...", 400, -0.3, 0.2) is Said.BACKCHANNEL


def test_a_hummed_yes_is_an_answer() -> None:
    assert in_silence("Mm-hmm.", 600, -0.5, 0.87) is Said.WORDS


def test_a_word_that_is_hardly_understood_is_believed_sooner_in_silence() -> None:
    assert over_reply("Paris.", 400, -0.7, 0.2) is Said.BACKCHANNEL
    assert in_silence("Paris.", 400, -0.7, 0.2) is Said.WORDS


def test_a_long_speech_is_meant_even_when_it_is_hardly_understood() -> None:
    assert over_reply("My dear old thing indeed", 2_500, -1.0, 0.2) is Said.WORDS


@pytest.mark.parametrize(
    ("language", "filler", "stop"),
    [("de", "Ja, genau.", "Moment mal."), ("fr", "Ah oui, d'accord.", "Attends."), ("es-MX", "Sí, claro.", "Espera.")],
)
def test_other_languages_have_their_own_fillers(language: str, filler: str, stop: str) -> None:
    assert over_reply(filler, 600, -0.2, 0.1, language) is Said.BACKCHANNEL
    assert over_reply(stop, 400, -0.5, 0.1, language) is Said.WORDS


def test_a_language_without_a_list_knows_hums_only() -> None:
    assert over_reply("mm-hm", 600, -0.2, 0.1, "ja") is Said.BACKCHANNEL
    assert over_reply("yeah", 600, -0.2, 0.1, "ja") is Said.WORDS


def test_a_filling_phrase_leaves_the_rest_standing() -> None:
    assert only_fillers(bare_words("Yeah, I see, right."), "en")
    assert not only_fillers(bare_words("I see a dog."), "en")


@pytest.mark.parametrize("phrase", ["That makes sense.", "I got it.", "Make sense."])
def test_a_phrase_that_holds_a_shorter_one_is_taken_away_whole(phrase: str) -> None:
    assert only_fillers(bare_words(phrase), "en")


def test_words_are_compared_bare() -> None:
    assert bare_words("Mm-hmm, that’s RIGHT! 42…") == ("mmhmm", "thats", "right", "42")  # noqa: RUF001 - as people type
