import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from typer.testing import CliRunner, Result

from actors.cli.talk import talk
from protocol.conversation import ClientPlayout
from tests.actors.cli_app import app_with
from tests.fakes.speaking_host import SpeakingHost, served, sound_of

ANSWER_WORDS = 4
pytestmark = pytest.mark.realtime


def run_talk(*arguments: str) -> Result:
    return CliRunner().invoke(app_with(talk), ["talk", *arguments])


def a_question(
    file: Path, *, rate: int = 16_000, channels: int = 1, subtype: str = "PCM_16", silence_s: float = 0.4
) -> Path:
    """A tone of 0.3 s after 0.2 s of silence."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(0.3 * rate)) / rate)
    mono = np.concatenate([np.zeros(int(0.2 * rate)), tone, np.zeros(int(silence_s * rate))])
    soundfile.write(file, np.repeat(mono[:, None], channels, axis=1), rate, subtype=subtype)
    return file


def read(file: Path) -> npt.NDArray[np.int16]:
    samples, rate = soundfile.read(file, dtype="int16")
    assert rate == 48_000
    return np.asarray(samples)


@dataclass(frozen=True)
class Talked:
    """A question and its answer, in real time."""

    result: Result
    host: SpeakingHost
    answer: Path


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Talked:
    """Once for all tests that look at what came of it."""
    folder, host = tmp_path_factory.mktemp("talked"), SpeakingHost()
    question, answer = a_question(folder / "q.wav"), folder / "a.wav"
    with served(host) as url:
        result = run_talk(
            "--in", str(question), "--out", str(answer), "--wait", "1.5", "--barge-in", "any_speech", "--url", url
        )
    assert result.exit_code == 0, result.output
    return Talked(result, host, answer)


def test_the_answer_stands_in_the_file_at_the_moment_it_was_heard(talked: Talked) -> None:
    begin, spoken = answer_in(read(talked.answer))
    assert 0.5 * 48_000 < begin < 2.0 * 48_000, "after the question, not at the beginning of the file"
    np.testing.assert_array_equal(spoken, sound_of(1, ANSWER_WORDS))


def answer_in(samples: npt.NDArray[np.int16]) -> tuple[int, npt.NDArray[np.int16]]:
    """Where it begins, and its frames; between them a busy machine may have put silence and fades."""
    frames = samples[: len(samples) // 960 * 960].reshape(-1, 960)
    expected = {frame.tobytes() for frame in sound_of(1, ANSWER_WORDS).reshape(-1, 960)}
    places = [place for place, frame in enumerate(frames) if frame.tobytes() in expected]
    return places[0] * 960, frames[places].reshape(-1)


def test_everything_that_happens_is_a_line(talked: Talked) -> None:
    output = talked.result.output
    labels = [line.split()[2] for line in output.strip().splitlines()]
    assert labels == ["session", "you", "state", "reply", "state", "latency", "state", "closed"], output
    for said in ("hello there", "You said hello there.", "THINKING", "SPEAKING", "LISTENING", "12 ms"):
        assert said in output


def test_it_ends_by_itself_when_both_sides_have_been_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.talk.QUIET_S", 0.6)
    host = SpeakingHost()
    with served(host) as url:
        result = run_talk("--in", str(a_question(tmp_path / "q.wav")), "--out", str(tmp_path / "a.wav"), "--url", url)
        assert host.closed.wait(5)
    assert result.exit_code == 0, result.output
    assert len(read(tmp_path / "a.wav")) >= ANSWER_WORDS * 4_800, "not before the answer was heard"


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8_000, 2, "PCM_16"), (44_100, 1, "PCM_24"), (48_000, 2, "FLOAT"), (22_050, 6, "PCM_U8"), (16_000, 1, "ULAW")],
)
def test_any_rate_and_any_channels_are_heard(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    host = SpeakingHost()
    question = a_question(tmp_path / "q.wav", rate=rate, channels=channels, subtype=subtype, silence_s=0.1)
    with served(host) as url:
        result = run_talk("--in", str(question), "--wait", "0", "--url", url)
    assert result.exit_code == 0, result.output
    heard = np.frombuffer(b"".join(host.conversation.heard), np.int16).astype(float)
    tone = heard[4_000:7_000]
    assert abs(np.argmax(np.abs(np.fft.rfft(tone))) * 16_000 / len(tone) - 440) < 10
    assert 15_000 < tone.max() < 17_500


def test_what_was_played_is_reported(talked: Talked) -> None:
    reports = [one.played for one in talked.host.conversation.commands if isinstance(one, ClientPlayout)]
    assert reports
    assert reports == sorted(reports)
    assert all(0 < played <= ANSWER_WORDS * 4_800 for played in reports)


def test_a_connection_that_is_lost_in_the_middle_of_an_answer_costs_no_sample(tmp_path: Path) -> None:
    host = SpeakingHost(lose_after=8)
    with served(host) as url:
        result = run_talk(
            "--in", str(a_question(tmp_path / "q.wav")), "--out", str(tmp_path / "a.wav"), "--wait", "2.5", "--url", url
        )
    assert result.exit_code == 0, result.output
    assert host.resumed == 1
    assert "back in" in result.output
    np.testing.assert_array_equal(answer_in(read(tmp_path / "a.wav"))[1], sound_of(1, ANSWER_WORDS))


def test_a_gateway_that_forgot_us_begins_a_new_conversation(tmp_path: Path) -> None:
    host = SpeakingHost(lose_after=8, forget=True)
    with served(host) as url:
        result = run_talk("--in", str(a_question(tmp_path / "q.wav")), "--wait", "2", "--url", url)
    assert result.exit_code == 0, result.output
    assert result.output.count("opened") == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "there is no file"), (b"", "no sound file"), (b"hello, this is text", "no sound file")],
)
def test_a_file_that_is_no_sound_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "q.wav"
    if content is not None:
        file.write_bytes(content)
    result = run_talk("--in", str(file), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert complaint in result.output
    assert str(file) in result.output


def test_a_sound_file_without_sound_is_named(tmp_path: Path) -> None:
    file = tmp_path / "q.wav"
    soundfile.write(file, np.zeros(0), 16_000)
    result = run_talk("--in", str(file), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "holds no sound" in result.output


def test_no_gateway_is_one_line_that_says_what_to_start(tmp_path: Path) -> None:
    result = run_talk("--in", str(a_question(tmp_path / "q.wav")), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "antiphon up" in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--mic", "--in", "q.wav"),
        ("--mic", "--out", "a.wav"),
        ("--mic", "--wait", "3"),
        ("--in", "q.wav", "--out", "q.wav"),
        ("--in", "q.wav", "--barge-in", "never"),
        ("--in", "q.wav", "--wait", "-1"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run_talk(*arguments).exit_code == 2


def test_without_sounddevice_the_microphone_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = run_talk("--mic", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "pip install 'antiphon[mic]'" in result.output


def test_the_barge_in_mode_is_asked_for(talked: Talked) -> None:
    assert talked.host.configs[0].barge_in == "any_speech"


def test_ctrl_c_hangs_up_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    host, question, answer = SpeakingHost(), a_question(tmp_path / "q.wav"), tmp_path / "a.wav"
    with served(host) as url:
        command = [sys.executable, "-m", "tests.actors.cli_app", "talk", "--in", str(question), "--out", str(answer)]
        process = subprocess.Popen([*command, "--url", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert host.spoke.wait(30)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0].decode()
        assert host.closed.wait(5), f"the gateway is told: {output}"
    assert process.returncode == 130, output
    assert "Traceback" not in output
    read(answer)  # is whole, however short


def test_the_help_shows_an_example() -> None:
    assert "antiphon talk --mic" in run_talk("--help").output
