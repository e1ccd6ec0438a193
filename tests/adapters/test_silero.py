"""The real Silero on real sound: when it hears speech, and that streams don't mix."""

from pathlib import Path

import numpy as np
import pytest

from actors.policies.voice_activity import WINDOW, VoiceActivity
from actors.policies.windowing import Windowing
from adapters.vad import silero
from adapters.vad.silero import SileroModel
from protocol.audio import MIC_FRAME, MIC_RATE
from protocol.errors import ModelUnavailable
from protocol.hearing import SpeechStarted, SpeechStopped, VadEvent
from protocol.ids import Samples, SessionId
from protocol.ports import Pcm, VoiceActivityModel
from tests.speech import as_frames, click, from_s16, joined, noise, room_noise, silence, spoken

pytestmark = pytest.mark.models

SID = SessionId("s-1")
QUESTION = "What is the weather like in Paris today?"
STORY = "Tell me a story about a dragon and a knight."


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel()


def windows_of(pcm: Pcm) -> list[Pcm]:
    return [pcm[i : i + WINDOW] for i in range(0, len(pcm) - WINDOW + 1, WINDOW)]


def probabilities(model: SileroModel, pcm: Pcm) -> list[float]:
    stream = model.open_stream()
    return [stream.probability(window) for window in windows_of(pcm)]


def events(model: SileroModel, pcm: Pcm) -> list[tuple[Samples, VadEvent]]:
    """Each event with the position at which it was noticed: the end of its window."""
    activity = VoiceActivity(SID)
    return [
        (Samples((i + 1) * WINDOW), event)
        for i, p in enumerate(probabilities(model, pcm))
        for event in activity.feed(Samples(i * WINDOW), p)
    ]


def in_a_room(pcm: Pcm) -> Pcm:
    return np.asarray(pcm + room_noise(len(pcm) / MIC_RATE, level=0.002), dtype=np.float32)


def test_the_model_is_a_voice_activity_model(model: SileroModel) -> None:
    port: VoiceActivityModel = model
    assert 0.0 <= port.open_stream().probability(silence(WINDOW / MIC_RATE)) <= 1.0


@pytest.mark.parametrize(
    "text", ["Yes, please go on.", "Who wrote that song?", "Never mind.", "That is not what I asked."]
)
@pytest.mark.parametrize("lead_s", [0.5, 0.508, 0.516, 0.524])
def test_speech_that_begins_with_a_voice_is_noticed_within_100_ms(model: SileroModel, text: str, lead_s: float) -> None:
    onset = round(lead_s * MIC_RATE)
    sound = in_a_room(joined(silence(lead_s), spoken(text), silence(1.0)))
    noticed = next(at for at, event in events(model, sound) if isinstance(event, SpeechStarted))
    assert 0 < noticed - onset <= 0.1 * MIC_RATE


@pytest.mark.parametrize("text", ["Stop.", "Sorry, what did you say?", QUESTION, STORY])
@pytest.mark.parametrize("lead_s", [0.5, 0.516])
def test_speech_that_begins_with_a_hiss_loses_little_of_it(model: SileroModel, text: str, lead_s: float) -> None:
    onset = round(lead_s * MIC_RATE)
    sound = in_a_room(joined(silence(lead_s), spoken(text), silence(1.0)))
    noticed, started = next((at, e) for at, e in events(model, sound) if isinstance(e, SpeechStarted))
    assert noticed - onset <= 0.2 * MIC_RATE, "a hiss is no voice yet, but the vowel behind it is"
    assert -0.15 * MIC_RATE <= started.at - onset <= 0.06 * MIC_RATE


def test_the_end_of_speech_is_placed_near_its_true_end(model: SileroModel) -> None:
    end = round(0.5 * MIC_RATE) + len(spoken(QUESTION))
    sound = in_a_room(joined(silence(0.5), spoken(QUESTION), silence(1.5)))
    stops = [event.at for _, event in events(model, sound) if isinstance(event, SpeechStopped)]
    assert len(stops) == 1
    assert abs(stops[0] - end) <= 0.15 * MIC_RATE


@pytest.mark.parametrize(
    "sound",
    [click(), noise(0.3, level=0.1), joined(click(), silence(0.2), click()), silence(1.0)],
    ids=["click", "burst of noise", "two clicks", "silence"],
)
def test_what_is_no_speech_does_not_start_it(model: SileroModel, sound: Pcm) -> None:
    heard = events(model, in_a_room(joined(silence(1.0), sound, silence(1.0))))
    assert [event for _, event in heard if isinstance(event, SpeechStarted)] == []


def test_two_streams_interleaved_hear_what_they_would_hear_alone(model: SileroModel) -> None:
    anne, bert = in_a_room(spoken(QUESTION)), in_a_room(spoken(STORY))
    one, other = model.open_stream(), model.open_stream()
    heard = [
        (one.probability(a), other.probability(b)) for a, b in zip(windows_of(anne), windows_of(bert), strict=False)
    ]
    assert [a for a, _ in heard] == probabilities(model, anne)[: len(heard)]
    assert [b for _, b in heard] == probabilities(model, bert)[: len(heard)]


def test_many_streams_in_one_inference_hear_what_they_would_hear_alone(model: SileroModel) -> None:
    sounds = [in_a_room(joined(silence(i * 0.05), spoken(QUESTION)))[:MIC_RATE] for i in range(5)]
    streams = [model.open_stream() for _ in sounds]
    together = [
        model.probabilities(streams, batch) for batch in zip(*(windows_of(sound) for sound in sounds), strict=True)
    ]
    for sound, heard in zip(sounds, zip(*together, strict=True), strict=True):
        assert heard == pytest.approx(probabilities(model, sound), abs=1e-4)


def test_the_cheapest_export_hears_what_the_usual_one_hears(model: SileroModel) -> None:
    whole = silero._installed().with_name("silero_vad.onnx")
    sound = in_a_room(spoken(QUESTION))
    assert probabilities(SileroModel(whole), sound) == pytest.approx(probabilities(model, sound), abs=1e-5)


def test_a_window_of_another_length_is_refused_and_moves_nothing(model: SileroModel) -> None:
    sound = windows_of(in_a_room(spoken(QUESTION)))
    disturbed, calm = model.open_stream(), model.open_stream()
    disturbed.probability(sound[0])
    with pytest.raises(ValueError, match="512 samples"):
        model.probabilities([disturbed, model.open_stream()], [sound[1], sound[1][:100]])
    assert disturbed.probability(sound[1]) == [calm.probability(w) for w in sound[:2]][1]


def test_a_missing_file_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "find_spec", lambda _name: None)
    with pytest.raises(ModelUnavailable, match="install the package silero-vad"):
        SileroModel()
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ModelUnavailable, match=r"cannot run broken\.onnx"):
        SileroModel(tmp_path / "broken.onnx")


@pytest.mark.parametrize("text", [QUESTION, "Never mind.", "Who wrote that song?"])
@pytest.mark.parametrize("lead_s", [3.0, 3.016])
def test_speech_after_skipped_silence_is_noticed_no_later(model: SileroModel, text: str, lead_s: float) -> None:
    sound = joined(silence(lead_s), spoken(text), silence(0.6))
    unskipped = next(noticed for noticed, event in events(model, sound) if isinstance(event, SpeechStarted))
    activity, stream, windows = VoiceActivity(SID), model.open_stream(), Windowing(WINDOW)
    started: list[int] = []
    for i, frame in enumerate(as_frames(sound)):
        windows.add(Samples(i * MIC_FRAME), frame)
        while (waiting := windows.take()) is not None:
            at, pcm = waiting
            found = activity.feed(at, stream.probability(from_s16(pcm)))
            started += [at + WINDOW for event in found if isinstance(event, SpeechStarted)]
            if activity.at_rest:
                windows.rest(at)
    assert windows.skipped > 60
    assert lead_s * MIC_RATE < started[0] <= unskipped


@pytest.mark.parametrize("sound", [click(), noise(0.5, level=0.2), room_noise(1.0)], ids=["click", "noise", "room"])
def test_a_sound_after_skipped_silence_is_no_speech(model: SileroModel, sound: Pcm) -> None:
    stream = model.open_stream()
    for _ in range(8):
        stream.probability(silence(WINDOW / MIC_RATE))
    after = [stream.probability(window) for window in windows_of(joined(sound, silence(0.5)))]
    assert max(after) < 0.5
