import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from adapters.server.antiphon_part import AntiphonPart, PartFailed
from adapters.server.child_process import ChildProcess
from protocol.errors import SettingsInvalid

SOON_S = 10.0
IGNORES_TERM = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


async def test_what_it_says_goes_to_its_log_and_line_by_line_to_who_listens(tmp_path: Path) -> None:
    lines: list[str] = []
    program = python("import sys; print('one'); print('two'); print('oh', file=sys.stderr)")
    child = ChildProcess(program, log_file=tmp_path / "logs" / "child.log", on_line=lines.append)
    await child.start()
    assert await child.wait() == 0
    assert lines == ["one", "two"]
    assert sorted((tmp_path / "logs" / "child.log").read_text().split()) == ["oh", "one", "two"]


async def test_all_of_it_is_echoed_if_asked_for(tmp_path: Path) -> None:
    lines: list[str] = []
    program = python("import sys; print('out', flush=True); print('err', file=sys.stderr)")
    child = ChildProcess(program, log_file=tmp_path / "log", echo=lines.append)
    await child.start()
    await child.wait()
    assert sorted(lines) == ["err", "out"]


async def test_a_line_without_an_end_is_no_trap(tmp_path: Path) -> None:
    child = ChildProcess(python("print('x' * 3_000_000, end='')"), log_file=tmp_path / "log")
    await child.start()
    assert await asyncio.wait_for(child.wait(), SOON_S) == 0
    assert (tmp_path / "log").stat().st_size == 3_000_000


async def test_who_does_not_hear_is_ended_by_force(tmp_path: Path) -> None:
    is_up = asyncio.Event()
    child = ChildProcess(python(IGNORES_TERM), log_file=tmp_path / "log", on_line=lambda _: is_up.set())
    await child.start()
    await asyncio.wait_for(is_up.wait(), SOON_S)
    await child.stop(grace_s=0.1)
    assert child.returncode == -signal.SIGKILL


async def test_stopping_is_harmless_before_the_start_and_after_the_end(tmp_path: Path) -> None:
    child = ChildProcess(python("pass"), log_file=tmp_path / "log")
    await child.stop()
    await child.start()
    await child.wait()
    await child.stop()
    assert not child.is_running


async def test_a_program_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ChildProcess(["/no/such/program"], log_file=tmp_path / "log").start()


async def test_ctrl_c_at_the_terminal_is_not_for_it(tmp_path: Path) -> None:
    child = ChildProcess(python("import time; time.sleep(60)"), log_file=tmp_path / "log")
    await child.start()
    assert psutil.Process(child.pid).pid == _process_group(child.pid or 0)
    await child.stop()


def _process_group(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[2])


async def test_a_log_that_has_grown_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 5_000_001)
    child = ChildProcess(python("print('new')"), log_file=tmp_path / "log")
    await child.start()
    await child.wait()
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.1").stat().st_size == 5_000_001


def a_part(tmp_path: Path, *arguments: str) -> AntiphonPart:
    return AntiphonPart(
        "part", arguments, ready_prefix="ready: ", log_file=tmp_path / "part.log", environment={"PATH": "/usr/bin:/bin"}
    )


async def test_a_part_that_cannot_start_fails_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=r"^part: NATS is not available at nats://127\.0\.0\.1:1: Connection refused"):
        await a_part(tmp_path, "serve", "asr", "--nats", "nats://127.0.0.1:1").start()


async def test_a_part_with_a_wrong_setting_says_which(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"^--port: port: input should be less than or equal to 65535"):
        await a_part(tmp_path, "serve", "gateway", "--port", "99999").start()
