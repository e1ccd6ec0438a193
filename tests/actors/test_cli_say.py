import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from actors.cli.say import say
from protocol.conversation import CloseSession, Say
from tests.actors.cli_app import app_with
from tests.fakes.speaking_host import SpeakingHost, served, sound_of

TEXT = "The boats are back."


def run_say(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app_with(say), ["say", *arguments], input=given)


def read(file: Path) -> "np.typing.NDArray[np.int16]":
    samples, rate = soundfile.read(file, dtype="int16")
    assert rate == 48_000
    return samples  # type: ignore[no-any-return]  # soundfile has no types


def test_the_file_holds_exactly_the_samples_that_were_spoken(tmp_path: Path) -> None:
    host, file = SpeakingHost(), tmp_path / "said.wav"
    with served(host) as url:
        result = run_say(TEXT, "--out", str(file), "--url", url)
        assert host.closed.wait(5)
    assert result.exit_code == 0, result.output
    assert "speech" in result.output
    np.testing.assert_array_equal(read(file), sound_of(1, 4))


def spoken(samples: "np.typing.NDArray[np.int16]", *, words: int) -> "np.typing.NDArray[np.int16]":
    """Without the one silent frame that ends a text whose end was told apart from its last words."""
    whole = len(sound_of(1, words))
    assert not samples[whole:].any()
    assert len(samples) - whole in (0, 960)
    return samples[:whole]


def test_a_connection_that_is_lost_in_the_middle_costs_no_sample(tmp_path: Path) -> None:
    host, file = SpeakingHost(lose_after=7), tmp_path / "said.wav"
    with served(host) as url:
        result = run_say(TEXT, "--out", str(file), "--url", url)
    assert result.exit_code == 0, result.output
    assert host.resumed == 1
    np.testing.assert_array_equal(read(file), sound_of(1, 4))


def test_standard_input_is_spoken_phrase_by_phrase_in_one_turn(tmp_path: Path) -> None:
    host, file = SpeakingHost(), tmp_path / "said.wav"
    text = "The market opens at nine. Nobody is late. Nobody at all."
    command = [sys.executable, "-m", "tests.actors.cli_app", "say", "-", "--out", str(file)]
    with served(host) as url:
        done = subprocess.run(
            [*command, "--url", url], input=text.encode(), capture_output=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    said = [command for command in host.conversation.commands if isinstance(command, Say)]
    assert " ".join("".join(one.text for one in said).split()) == text
    assert [one.last for one in said] == [False] * (len(said) - 1) + [True]
    np.testing.assert_array_equal(spoken(read(file), words=11), sound_of(1, 11))


def test_what_is_typed_slowly_is_spoken_at_once() -> None:
    host = SpeakingHost()
    with served(host) as url:
        command = [sys.executable, "-m", "tests.actors.cli_app", "say", "--out", os.devnull, "--url", url]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"Good morning, Ann. ")
        process.stdin.flush()
        assert host.spoke.wait(30), "the first phrase is spoken while standard input is open"
        process.stdin.write(b"How are you?")
        process.stdin.close()
        assert process.wait(30) == 0
    assert "".join(one.text for one in host.conversation.commands if isinstance(one, Say)).split()[-1] == "you?"


def test_markdown_is_not_spoken(tmp_path: Path) -> None:
    host = SpeakingHost()
    with served(host) as url:
        run_say("**Good** `morning`.", "--out", str(tmp_path / "x.wav"), "--url", url)
    assert next(one.text.strip() for one in host.conversation.commands if isinstance(one, Say)) == "Good morning."


def test_voice_speed_and_language_are_asked_for(tmp_path: Path) -> None:
    host = SpeakingHost()
    with served(host) as url:
        result = run_say(
            TEXT, "--out", str(tmp_path / "x.wav"), "--url", url, "--voice", "hibari-heart", "--speed", "1.5",
            "--language", "en",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    (config,) = host.configs
    assert (config.voice, config.speed, config.language) == ("hibari-heart", 1.5, "en")


def test_no_gateway_is_one_line_that_says_what_to_start(tmp_path: Path) -> None:
    result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "127.0.0.1:9" in result.output
    assert "antiphon up" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_an_unknown_voice_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with served(SpeakingHost()) as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url, "--voice", "nobody")
    assert result.exit_code == 1
    assert "hibari-heart" in result.output


@pytest.mark.parametrize("key", [(), ("--key", "wrong")])
def test_a_missing_or_wrong_key_is_named(tmp_path: Path, key: tuple[str, ...]) -> None:
    with served(SpeakingHost(), api_key="right") as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url, *key)
    assert result.exit_code == 1
    assert "ANTIPHON_KEY" in result.output


def test_the_right_key_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_KEY", "right")
    with served(SpeakingHost(), api_key="right") as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url)
    assert result.exit_code == 0, result.output


def test_a_voice_that_fails_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.saying._LAST_FRAME_S", 0.2)
    with served(SpeakingHost(failure="the model has gone")) as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url)
    assert result.exit_code == 1
    assert "the model has gone" in result.output


def test_a_refused_text_is_told_with_its_reason(tmp_path: Path) -> None:
    with served(SpeakingHost(refusal="too much to say")) as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url)
    assert result.exit_code == 1
    assert "too much to say" in result.output


def test_a_gateway_that_forgot_us_in_the_middle_is_a_failure(tmp_path: Path) -> None:
    with served(SpeakingHost(lose_after=7, forget=True)) as url:
        result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), "--url", url)
    assert result.exit_code == 1
    assert "restarted" in result.output


@pytest.mark.parametrize("text", ["", "  ", "...", "**"])
def test_nothing_to_say_is_refused_without_calling_anybody(tmp_path: Path, text: str) -> None:
    result = run_say(text, "--out", str(tmp_path / "x.wav"), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "no words" in result.output


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "x.wav"
    result = run_say(TEXT, "--out", str(file), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert str(file) in result.output


@pytest.mark.parametrize(("option", "value"), [("--voice", "No Such Voice!"), ("--language", "english please")])
def test_a_value_that_no_gateway_would_take_names_its_flag(tmp_path: Path, option: str, value: str) -> None:
    result = run_say(TEXT, "--out", str(tmp_path / "x.wav"), option, value)
    assert result.exit_code == 2
    assert option in result.output


def test_without_portaudio_the_loudspeaker_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = run_say(TEXT, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "sounddevice" in result.output


def test_ctrl_c_ends_the_session_and_the_file(tmp_path: Path) -> None:
    host, file = SpeakingHost(), tmp_path / "said.wav"
    with served(host) as url:
        command = [sys.executable, "-m", "tests.actors.cli_app", "say", "one " * 200, "--out", str(file), "--url", url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert host.spoke.wait(30)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0].decode()
        assert host.closed.wait(5), f"the gateway is told: {output}"
    assert process.returncode == 130, output
    assert "Traceback" not in output
    read(file)  # is whole, however short
    assert any(isinstance(command, CloseSession) for command in host.conversation.commands)


def test_the_help_shows_an_example() -> None:
    assert "antiphon say" in run_say("--help").output
