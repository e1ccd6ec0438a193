"""Hums, fillers, noise and interruptions through the real detector and the real recognizer, judged as over a reply.

It holds the thresholds of `actors.policies.backchannel` to what tiny.en really writes in its short window.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from actors.policies.backchannel import Said, judge
from actors.policies.turn_taking.settings import TurnTakingSettings
from actors.policies.turn_taking.utterance import LEAD_IN, TAIL
from actors.policies.voice_activity import WINDOW, VoiceActivity
from adapters.asr.whisper import WhisperRecognizer
from adapters.vad.silero import SileroModel
from protocol.audio import MIC_RATE
from protocol.hearing import SpeechStarted, SpeechStopped
from protocol.ids import Samples, SessionId
from protocol.ports import Pcm
from tests.speech import click, hum, joined, mm_hm, noise, room_noise, silence, spoken

pytestmark = pytest.mark.models

PER_MS = MIC_RATE // 1000
FILLERS = [
    "Mm-hmm.", "Uh-huh.", "Mhm.", "Hmm.", "Mmm.", "Yeah.", "Yes.", "Right.", "Okay.", "Sure.", "I see.", "Oh, I see.",
    "Got it.", "Great.", "Really?", "Wow.", "Of course.", "That's right.", "Yeah, yeah.", "Okay, okay.",
]  # fmt: skip
INTERRUPTIONS = [
    "Stop.", "Wait.", "No.", "Hold on.", "Wait a second.", "Stop it, please.", "What about tomorrow?",
    "Tell me about the other one.", "How much is that?", "Yeah, stop.", "Okay, but what about tomorrow?",
    "Actually, I want something else.", "Can you repeat that?", "No, that is not what I asked.",
    "Let me say something.", "Sorry, I did not get that.",
]  # fmt: skip
HUMS = [
    pytest.param(hum(seconds, hertz=hertz, glide=glide), id=f"{hertz} Hz, {seconds} s, {glide:+}")
    for hertz in (95, 120, 160, 210)
    for seconds in (0.25, 0.5, 0.9)
    for glide in (-0.1, 0.15)
] + [pytest.param(mm_hm(hertz=hertz), id=f"mm-hm at {hertz} Hz") for hertz in (90, 120, 170, 220)]
NOISES = [
    pytest.param(noise(seconds, level=level), id=f"{seconds} s of noise at {level}")
    for seconds in (0.1, 0.4, 1.0)
    for level in (0.02, 0.1, 0.3)
] + [pytest.param(joined(*[joined(click(), silence(0.12))] * 5), id="five knocks")]


@dataclass(frozen=True)
class Heard:
    """Where the detector placed a sound, in samples."""

    first: Samples
    noticed: Samples
    end: Samples
    ended: Samples


@pytest.fixture(scope="module")
def detector() -> SileroModel:
    return SileroModel()


@pytest.fixture(scope="module")
def recognizer() -> WhisperRecognizer:
    return WhisperRecognizer()


def in_a_room(sound: Pcm) -> Pcm:
    pcm = joined(silence(1.0), sound, silence(1.2))
    return np.asarray(pcm + room_noise(len(pcm) / MIC_RATE, level=0.002), dtype=np.float32)


def detect(detector: SileroModel, pcm: Pcm) -> Heard | None:
    """The first stretch of speech, as a session is told of it."""
    stream, activity = detector.open_stream(), VoiceActivity(SessionId("s-1"))
    started: tuple[Samples, Samples] | None = None
    for first in range(0, len(pcm) - WINDOW, WINDOW):
        for event in activity.feed(Samples(first), stream.probability(pcm[first : first + WINDOW])):
            now = Samples(first + WINDOW)
            if isinstance(event, SpeechStarted):
                started = started or (event.at, now)
            if isinstance(event, SpeechStopped) and started:
                return Heard(*started, event.at, now)
    return None


def judgements(detector: SileroModel, recognizer: WhisperRecognizer, sound: Pcm) -> list[Said]:
    """Of each partial transcript that a session would ask for while the sound lasts, and of the whole."""
    pcm, settings = in_a_room(sound), TurnTakingSettings()
    heard = detect(detector, pcm)
    if heard is None:
        return []
    due = heard.noticed + settings.first_partial_ms * PER_MS
    partial_ends = range(due, heard.ended, settings.next_partial_ms * PER_MS)
    ranges = [(end, end, False) for end in partial_ends] + [(heard.end, heard.end + TAIL, True)]
    found = []
    for voiced_end, end, final in ranges:
        said = recognizer.transcribe(pcm[max(0, heard.first - LEAD_IN) : end], language="en", final=final)
        found.append(
            judge(
                said.text,
                language="en",
                voiced_ms=(voiced_end - heard.first) // PER_MS,
                avg_logprob=said.avg_logprob,
                no_speech_prob=said.no_speech_prob,
                over_reply=True,
            )
        )
    return found


@pytest.mark.parametrize("text", FILLERS)
def test_a_filler_does_not_stop_us(detector: SileroModel, recognizer: WhisperRecognizer, text: str) -> None:
    assert Said.WORDS not in judgements(detector, recognizer, spoken(text))


@pytest.mark.parametrize("sound", HUMS)
def test_a_hum_does_not_stop_us(detector: SileroModel, recognizer: WhisperRecognizer, sound: Pcm) -> None:
    assert Said.WORDS not in judgements(detector, recognizer, sound)


@pytest.mark.parametrize("sound", NOISES)
def test_noise_does_not_even_hold_us(detector: SileroModel, sound: Pcm) -> None:
    assert detect(detector, in_a_room(sound)) is None


@pytest.mark.parametrize("text", INTERRUPTIONS)
def test_an_interruption_stops_us(detector: SileroModel, recognizer: WhisperRecognizer, text: str) -> None:
    assert judgements(detector, recognizer, spoken(text))[-1] is Said.WORDS
