"""Whether a person who made a sound meant to say something: words, a backchannel ("mm-hm", "yeah"), or nothing.

Calibrated with Whisper tiny.en (beam 1, int8) on 332 clips: two synthetic voices saying 36 fillers and 36 short
interruptions, whole and cut after 0.3 to 0.9 s as a partial transcript sees them, and synthetic hums, coughs and noise:

- Noise and hums: no-speech probability 0.67-0.93 ("You", "Thank you.", "Okay.", "Mm-hmm."); speech: at most 0.64,
  words that interrupt at most 0.57.
- "Mm-hm", "uh-huh", "mhm" come out as words with a mean log-probability of -1.6 to -0.51 ("Mama", "And then make it.",
  "It hurt a hat."), two clips of 40 above that (-0.44, -0.39); "stop", "wait", "no" and "hold on" -0.67 to -0.13;
  other interruptions -0.47 and better once 0.6 s of them are there.
- A model that loops ("and make sure to make sure to ...") has a fine log-probability and 100 words in a second.

On these clips, from which the thresholds were chosen: 0 of 72 fillers and 0 of 48 hums and noises stop a reply when
whole, 70 of 72 interruptions do; of partial clips 1 of 54 fillers does, 49 of 68 interruptions do at once and the rest
with the next transcript. On 252 other clips, half of them in noise: 4 of 80 fillers ("Cool." heard as "Come on."), 0 of
72 hums and noises, 89 of 100 interruptions; all that are missed are a single word ("Louder.", "Tomorrow.", "Never.").
"""

from enum import Enum
from typing import Final

from actors.policies import vocabulary
from actors.policies.words import bare_words

UNVOICED: Final = 0.65
"""No-speech probability from which on a transcript that is not sure of itself stands for noise."""
SURE_DESPITE_NOISE: Final = -0.45
FASTEST_WORDS_PER_S: Final = 8
SPARE_WORDS: Final = 4
"""A short clip may hold a few words more than the rate allows: its length is measured roughly."""
FLOOR_DOUBT: Final = -0.9
"""Log-probability below which even "stop" is not believed."""
SILENT_DOUBT: Final = -1.1
"""While we are silent, a wrong guess costs a needless answer, a missed word costs an unanswered person."""
# While we speak: below which mean log-probability unlisted words are taken for a hum, by the sound's length in ms.
DOUBT_BY_LENGTH: Final = ((500, -0.38), (900, -0.46), (1_600, -0.8))
LONG_DOUBT: Final = -1.1


class Said(Enum):
    """What a sound amounts to."""

    NOTHING = "nothing"
    BACKCHANNEL = "backchannel"
    WORDS = "words"


def judge(
    text: str, *, language: str, voiced_ms: int, avg_logprob: float, no_speech_prob: float, over_reply: bool
) -> Said:
    """What the transcript of `voiced_ms` of speech amounts to.

    While we speak (`over_reply`) fillers and doubtful words are a backchannel, and "stop" is not. While we are silent
    "yes" is an answer, doubtful words are believed sooner, and only a hesitation ("um") is a backchannel.
    """
    words = bare_words(text)
    if not words or _is_loop(words, voiced_ms):
        return Said.NOTHING
    if vocabulary.HUMS.issuperset(words):
        return Said.BACKCHANNEL if over_reply or vocabulary.HESITATIONS.issuperset(words) else Said.WORDS
    if _is_noise(words, avg_logprob, no_speech_prob):
        return Said.NOTHING
    if avg_logprob >= FLOOR_DOUBT and not vocabulary.of(vocabulary.FLOOR_TAKING, language).isdisjoint(words):
        return Said.WORDS
    if over_reply:
        doubtful = avg_logprob < _doubt(voiced_ms)
        return Said.BACKCHANNEL if doubtful or only_fillers(words, language) else Said.WORDS
    believed = avg_logprob >= SILENT_DOUBT or voiced_ms > DOUBT_BY_LENGTH[-1][0]
    return Said.WORDS if believed else Said.NOTHING


def only_fillers(words: tuple[str, ...], language: str) -> bool:
    """Whether nothing is left when the language's fillers are taken away, the longest phrases first."""
    rest = " ".join(words)
    phrases = vocabulary.FILLING_PHRASES.get(language.partition("-")[0], ())
    for phrase in sorted(phrases, key=len, reverse=True):
        rest = f" {rest} ".replace(f" {phrase} ", " ").strip()
    fillers = vocabulary.of(vocabulary.FILLERS, language) | vocabulary.HUMS
    return fillers.issuperset(rest.split())


def _is_loop(words: tuple[str, ...], voiced_ms: int) -> bool:
    return len(words) > SPARE_WORDS + FASTEST_WORDS_PER_S * voiced_ms / 1000


def _is_noise(words: tuple[str, ...], avg_logprob: float, no_speech_prob: float) -> bool:
    unsure = avg_logprob < SURE_DESPITE_NOISE
    return unsure and (no_speech_prob > UNVOICED or " ".join(words) in vocabulary.HALLUCINATED)


def _doubt(voiced_ms: int) -> float:
    return next((doubt for length, doubt in DOUBT_BY_LENGTH if voiced_ms < length), LONG_DOUBT)
