import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.bootstrap import doctor as examination
from actors.cli.doctor import doctor
from adapters.voicepacks import BrokenPack, Packs
from protocol.errors import BusUnavailable, ModelUnavailable
from tests.actors.cli_app import app_with
from tests.fakes.speaking_host import SpeakingHost, served


def run_doctor(data_dir: Path, *arguments: str, port: int | None = None) -> Result:
    chosen = ["doctor", "--data-dir", str(data_dir), "--port", str(port or _free_port()), *arguments]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app_with(doctor), chosen)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ANTIPHON_ASR_MODEL", "ANTIPHON_LLM_BASE_URL", "ANTIPHON_LLM_MODEL", "ANTIPHON_VOICE"):
        monkeypatch.delenv(name, raising=False)


def lines_about(result: Result, what: str) -> list[str]:
    return [line for line in result.output.splitlines() if what in line]


def test_a_whole_checkout_is_ready(tmp_path: Path) -> None:
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "ready for `antiphon up`" in result.output
    assert "✗" not in result.output
    for found in ("python", "nats-server", "silero-vad", "whisper-tiny-en", "hibari-heart", "is free", "echo"):
        assert found in result.output


def test_a_missing_voice_detector_is_broken_and_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ModelUnavailable("Silero's ONNX file was not found")

    monkeypatch.setattr(examination, "SileroModel", missing)
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "✗ voice activity" in result.output
    assert "Silero's ONNX file was not found" in result.output
    assert "1 thing to mend" in result.output
    assert "hibari-heart" in result.output


def test_a_missing_nats_server_is_broken_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise BusUnavailable("the NATS server is not installed")

    monkeypatch.setattr(examination, "binary", missing)
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "--nats URL" in result.output


def test_without_any_voice_it_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = Packs(good=(), broken=(BrokenPack("hibari/heart", "metadata.yaml: no title"),))
    monkeypatch.setattr(examination, "find_packs", lambda: packs)
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "the pack hibari/heart is broken: metadata.yaml: no title" in result.output
    assert "there is no voice" in result.output


def test_a_check_that_breaks_is_told_and_hides_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Packs:
        raise RuntimeError("surprise")

    monkeypatch.setattr(examination, "find_packs", broken)
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "RuntimeError: surprise" in result.output
    assert lines_about(result, "data directory")


def test_an_unknown_model_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ASR_MODEL", str(tmp_path))
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "holds no model.bin" in result.output


def test_a_model_that_must_be_downloaded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ASR_MODEL", "large-v3")
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "not on this machine yet" in result.output


def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("voise: hibari-heart\n")
    result = run_doctor(tmp_path / "data")
    assert result.exit_code == 1
    assert "gateway.yaml" in result.output
    assert "voise" in result.output


def test_a_data_directory_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_doctor(tmp_path / "file" / "data")
    assert result.exit_code == 1
    assert "✗ data directory" in result.output
    assert "--data-dir" in result.output


@pytest.fixture
def stranger() -> Iterator[int]:
    """A program of somebody else, on a port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def test_a_port_that_is_taken_is_told(tmp_path: Path, stranger: int) -> None:
    result = run_doctor(tmp_path / "data", port=stranger)
    assert result.exit_code == 0, result.output
    assert f"{stranger} is taken by another program" in result.output
    assert "--port" in result.output


def test_a_gateway_that_runs_already_is_recognised(tmp_path: Path) -> None:
    with served(SpeakingHost()) as url:
        result = run_doctor(tmp_path / "data", port=int(url.rpartition(":")[2]))
    assert "a gateway runs there and is ready" in result.output


def test_a_language_model_is_named_without_its_path_or_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_LLM_BASE_URL", "http://user:secret@models.example/v1")
    monkeypatch.setenv("ANTIPHON_LLM_MODEL", "tiny")
    result = run_doctor(tmp_path / "data")
    assert "tiny at models.example" in result.output
    assert "secret" not in result.output


def test_the_help_shows_an_example() -> None:
    assert "antiphon doctor" in CliRunner().invoke(app_with(doctor), ["doctor", "--help"]).output
