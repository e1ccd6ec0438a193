import numpy as np
import pytest

from adapters.transport.opus import NOTHING, Decimator, OpusEar, OpusVoiceEncoder
from protocol.audio import SPEECH_FRAME, SPEECH_RATE
from tests.clients.sound import Pcm16


def tone(hertz: float, seconds: float = 1.0, amplitude: int = 10_000) -> Pcm16:
    at = np.arange(int(seconds * SPEECH_RATE)) / SPEECH_RATE
    return np.asarray(np.rint(amplitude * np.sin(2 * np.pi * hertz * at)), np.int16)


def level_db(samples: Pcm16) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) / (10_000 / np.sqrt(2)) + 1e-9))


@pytest.mark.parametrize("hertz", [100, 1_000, 4_000, 6_500])
def test_what_a_voice_has_passes_to_16_khz(hertz: float) -> None:
    assert level_db(Decimator().feed(tone(hertz))[100:]) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("hertz", [8_600, 12_000, 15_000, 20_000])
def test_what_would_fold_down_does_not(hertz: float) -> None:
    assert level_db(Decimator().feed(tone(hertz))[100:]) < -55


@pytest.mark.parametrize("size", [1, 7, 120, 480, 960, 2_880])
def test_the_size_of_the_pieces_makes_no_difference(size: int) -> None:
    source = tone(440, 0.2)
    decimator = Decimator()
    pieces = [decimator.feed(source[i : i + size]) for i in range(0, len(source), size)]
    assert np.array_equal(np.concatenate(pieces), Decimator().feed(source))


def test_each_20_ms_in_give_20_ms_out_at_once() -> None:
    ear = OpusEar()
    assert [len(list(ear.feed(tone(440, 0.02)))) for _ in range(5)] == [1] * 5


def test_what_is_encoded_is_heard_again() -> None:
    encoder, ear = OpusVoiceEncoder(), OpusEar()
    source = tone(440)
    packets = [encoder.encode(source[i : i + SPEECH_FRAME].tobytes()) for i in range(0, len(source), SPEECH_FRAME)]
    heard = np.concatenate([ear.decode(p) for p in packets])
    assert len(heard) == len(source)
    assert level_db(heard[SPEECH_FRAME:]) == pytest.approx(0, abs=0.5)
    assert 80 < np.mean([len(p) for p in packets]) < 180


@pytest.mark.parametrize("junk", [b"\xff" * 40, bytes(1), b"\x03", bytes(2_000)])
def test_junk_gives_sound_or_none_and_leaves_the_ear_in_order(junk: bytes) -> None:
    encoder, ear = OpusVoiceEncoder(), OpusEar()
    ear.decode(junk)
    assert len(ear.decode(encoder.encode(tone(440, 0.02).tobytes()))) == SPEECH_FRAME


def test_a_packet_of_nothing_after_silence_is_silence() -> None:
    encoder, ear = OpusVoiceEncoder(), OpusEar()
    for _ in range(10):
        ear.decode(encoder.encode(tone(440, 0.02).tobytes()))
    for _ in range(10):
        ear.decode(encoder.encode(bytes(2 * SPEECH_FRAME)))
    for _ in range(5):
        assert np.abs(ear.decode(NOTHING).astype(int)).max() < 30
