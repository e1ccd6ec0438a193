import subprocess
import sys

import pytest
from typer.testing import CliRunner

from actors.cli.app import _COMMANDS, _command, app

HEAVY = {"numpy", "pydantic", "onnxruntime", "aiohttp", "aiortc", "nats", "faster_whisper", "structlog", "scipy"}


def imported_by(program: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after it ran this."""
    shown = "; import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program + shown], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("command", _COMMANDS)
def test_each_command_has_an_example_in_its_help(command: str) -> None:
    if command == "bench":
        return  # its help is the benches' own
    for words in _each_of(command):
        result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert f"Example: antiphon {' '.join(words)}" in result.output


def _each_of(command: str) -> list[list[str]]:
    """The command, or those of a group."""
    found = _command(command)
    names = list(getattr(found, "commands", {}))
    return [[command, name] for name in names] or [[command]]


def test_the_list_of_commands_is_complete() -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(f" {command} " in output for command in _COMMANDS)


def test_a_command_that_does_not_exist_is_refused() -> None:
    result = CliRunner().invoke(app, ["sing"])
    assert result.exit_code == 2
    assert "No such command 'sing'" in result.output


def test_the_command_line_waits_for_nothing_that_it_does_not_need() -> None:
    assert not imported_by("import actors.cli.app") & HEAVY


def test_what_starts_the_parts_leaves_their_imports_to_them() -> None:
    assert not imported_by("import actors.cli.up, actors.bootstrap.up") & HEAVY


def test_an_error_of_ours_is_one_line_and_a_status() -> None:
    command = [sys.executable, "-m", "actors.cli.app", "serve", "gateway", "--port", "99999"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "antiphon: --port: port: input should be less than or equal to 65535\n"


def test_with_debug_it_says_where_it_came_from() -> None:
    command = [sys.executable, "-m", "actors.cli.app", "--debug", "serve", "gateway", "--port", "99999"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" in done.stderr
    assert "SettingsInvalid" in done.stderr
