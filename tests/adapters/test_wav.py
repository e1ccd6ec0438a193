from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from adapters.transport.wav import SoundFile, SoundRecording
from protocol.errors import SoundUnavailable


def heard(path: Path) -> npt.NDArray[np.int16]:
    return np.frombuffer(b"".join(SoundFile(path).frames()), np.int16)


def recorded(path: Path) -> npt.NDArray[np.int16]:
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 48_000
    return np.asarray(samples)


def pcm(value: int, samples: int) -> bytes:
    return np.full(samples, value, np.int16).tobytes()


def test_a_file_at_the_microphones_rate_is_heard_as_it_is(tmp_path: Path) -> None:
    sound = (np.arange(3_200) % 200 * 100).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    assert np.abs(heard(tmp_path / "a.wav").astype(int) - sound).max() <= 1


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_channels_become_twenty_milliseconds_each(tmp_path: Path, rate: int, channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", np.repeat(tone[:, None], channels, axis=1), rate, subtype="PCM_24")
    frames = list(SoundFile(tmp_path / "a.wav").frames())
    assert {len(frame) for frame in frames} == {640}
    assert 50 <= len(frames) <= 51
    middle = np.frombuffer(b"".join(frames), np.int16)[4_000:12_000].astype(float)
    assert abs(middle.max() - 16_384) < 400
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 150


def test_the_last_piece_is_filled_up_with_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(330, 0.5), 16_000)
    sound = heard(tmp_path / "a.wav")
    assert len(sound) == 640
    assert not sound[340:].any()


def test_channels_are_mixed_and_not_dropped(tmp_path: Path) -> None:
    left = np.zeros((1_600, 2))
    left[:, 1] = 0.5
    soundfile.write(tmp_path / "a.wav", left, 16_000)
    assert abs(int(heard(tmp_path / "a.wav")[800]) - 8_192) < 10


def test_what_is_louder_than_full_scale_or_no_number_is_bounded(tmp_path: Path) -> None:
    sound = np.array([4.0, -4.0, np.nan, np.inf] * 400, np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    assert np.abs(heard(tmp_path / "a.wav").astype(int)).max() <= 32_767


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"hello" * 100])
def test_what_is_no_sound_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SoundUnavailable, match=r"a\.wav"):
        SoundFile(tmp_path / "a.wav")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SoundUnavailable, match="no file"):
        SoundFile(tmp_path)


def test_a_file_without_sound_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    with pytest.raises(SoundUnavailable, match="holds no sound"):
        SoundFile(tmp_path / "a.wav")


def test_silence_is_written_when_sound_follows_and_not_at_the_end(tmp_path: Path) -> None:
    recording = SoundRecording(tmp_path / "a.wav")
    for piece in (None, pcm(1, 960), None, None, pcm(2, 960), None):
        recording.play(piece)
    recording.close()
    assert recorded(tmp_path / "a.wav")[::960].tolist() == [0, 1, 0, 0, 2]


def test_a_recording_is_filled_up_but_never_cut(tmp_path: Path) -> None:
    recording = SoundRecording(tmp_path / "a.wav")
    recording.play(pcm(1, 960))
    recording.fill_up(1_500)
    recording.fill_up(100)
    recording.close()
    sound = recorded(tmp_path / "a.wav")
    assert (len(sound), sound[959], sound[960]) == (1_500, 1, 0)


def test_sound_has_places_of_its_own(tmp_path: Path) -> None:
    recording = SoundRecording(tmp_path / "a.wav")
    recording.place(0, pcm(1, 10))
    recording.place(20, pcm(3, 10))
    recording.place(10, pcm(2, 10))
    recording.place(25, pcm(4, 10))
    recording.place(0, pcm(5, 5))
    recording.close()
    assert recorded(tmp_path / "a.wav").tolist() == [5] * 5 + [1] * 5 + [2] * 10 + [3] * 5 + [4] * 10
    assert recording.samples == 35


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SoundUnavailable, match="nowhere"):
        SoundRecording(tmp_path / "nowhere" / "a.wav")
