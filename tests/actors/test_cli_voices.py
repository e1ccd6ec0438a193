"""`antiphon voices` as a person or a script runs it, against a hub of our own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.cli import voices
from adapters.voicepacks import find_packs
from adapters.voicepacks.hub import Hub
from tests.actors.cli_app import app_with
from tests.adapters.voicepacks.shelf import hub_source, put
from tests.fakes.hub import FakeHub, serving

WEIGHTS = bytes(range(256)) * 4_000
ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 60.0


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeHub]:
    """Where weights are looked for in this process, which reads `HF_ENDPOINT` only once, and long ago."""
    async with serving(FakeHub({"model.onnx": WEIGHTS, "model.onnx.json": b"{}"})) as hub:
        monkeypatch.setattr("actors.bootstrap.voices.Hub", lambda _: Hub(hub.endpoint))
        yield hub


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a user of its own."""
    for name in [name for name in os.environ if name.startswith("ANTIPHON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "antiphon" / "voicepacks"


def invoke(*arguments: str) -> Result:
    """In this process."""
    return CliRunner().invoke(voices.app, arguments)


async def run(*arguments: str) -> tuple[int, str]:
    """On a thread, while the hub answers on this one; returns the status and all that a person would read."""
    app = app_with()
    app.add_typer(voices.app, name="voices")
    result = await asyncio.to_thread(CliRunner().invoke, app, ["voices", *arguments])
    return result.exit_code, result.output


async def start(hub: FakeHub, *arguments: str) -> asyncio.subprocess.Process:
    """In a process of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actors.cli.app", "voices", *arguments),
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.endpoint},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_a_voice_is_pulled_verified_and_listed_as_here(hub: FakeHub, home: Path) -> None:
    put(home, "piper/mine", source=hub_source(hub))
    assert "not pulled: antiphon voices pull piper-mine" in invoke("list").output
    status, output = await run("pull", "piper-mine")
    assert status == 0
    assert "licence: MIT" in output
    assert "piper-mine: pulled, and its checksums are right" in output
    (listed,) = [v for v in json.loads(invoke("list", "--json").output)["voices"] if v["model"] == "piper-mine"]
    assert listed["usable"]
    assert listed["size"] == len(WEIGHTS) + 2
    assert listed["where"] == "hub owner/voices"
    assert invoke("verify", "piper-mine").exit_code == 0
    status, output = await run("pull", "piper/mine")
    assert (status, output) == (0, "piper-mine: is here, and its checksums are right\n")


async def test_wrong_bytes_end_with_status_1_and_nothing_kept(hub: FakeHub, home: Path, tmp_path: Path) -> None:
    put(home, "piper/mine", source=hub_source(hub))
    hub.wrong = bytes(len(WEIGHTS))
    status, output = await run("pull", "piper-mine")
    assert status == 1
    assert "antiphon: piper-mine: model.onnx: its SHA-256 is" in output
    assert "it was deleted" in output
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


async def test_ctrl_c_leaves_what_the_next_pull_goes_on_with(hub: FakeHub, home: Path, tmp_path: Path) -> None:
    put(home, "piper/mine", source=hub_source(hub))
    hub.stall_after = 500_000
    process = await start(hub, "pull", "piper-mine")
    await asyncio.wait_for(hub.stalled.wait(), _LIMIT_S)

    async def something_is_here() -> Path:
        while not (parts := [p for p in (tmp_path / "cache").rglob("*.part") if p.stat().st_size]):  # noqa: ASYNC110  # as below
            await asyncio.sleep(0.02)  # another process writes it, and says nothing
        return parts[0]

    part = await asyncio.wait_for(something_is_here(), _LIMIT_S)
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    assert process.returncode == 130
    assert "stopped; the same command goes on where it stopped" in output.decode()
    have = part.stat().st_size
    hub.stall_after = None
    hub.asked.clear()
    status, _ = await run("pull", "piper-mine")
    assert status == 0
    assert hub.with_bytes[0].range == f"bytes={have}-"


async def test_a_licence_that_is_not_free_is_shown_and_must_be_accepted(hub: FakeHub, home: Path) -> None:
    put(home, "piper/mine", source=hub_source(hub), licence="Research only", non_free=True, licence_note="No trade.")
    status, output = await run("pull", "piper-mine")
    assert status == 2
    assert "licence: Research only" in output
    assert "No trade." in output
    assert "--accept-licence" in output
    assert not hub.asked
    status, output = await run("pull", "piper-mine", "--accept-licence")
    assert status == 0
    assert "licence: Research only" in output


async def test_the_folders_are_those_of_the_workers_settings(hub: FakeHub, tmp_path: Path) -> None:
    put(tmp_path / "packs", "piper/mine", source=hub_source(hub))
    (tmp_path / "worker.yaml").write_text(f"voicepacks_dir: {tmp_path / 'packs'}\ncache_dir: {tmp_path / 'kept'}\n")
    status, _ = await run("pull", "piper-mine")
    assert status == 0
    assert (tmp_path / "kept" / "hub" / "owner--voices").is_dir()
    assert find_packs(tmp_path / "packs", cache=tmp_path / "kept").good[0].is_present()


async def test_one_failure_does_not_keep_others_from_being_pulled(hub: FakeHub, home: Path) -> None:
    gone = {**hub_source(hub), "files": [{"path": "gone.onnx"}]}
    put(home, "piper/gone", source=gone)
    put(home, "piper/mine", source=hub_source(hub))
    status, output = await run("pull", "piper-gone", "piper-mine")
    assert status == 1
    assert "piper-gone: owner/voices: there is no gone.onnx" in output
    assert "piper-mine: pulled" in output


def test_verify_ends_with_status_1_when_a_file_is_wrong(home: Path) -> None:
    folder = put(home, "piper/mine", source={"files": [{"path": "a", "sha256": "0" * 64}]})
    (folder / "a").write_text("hello")
    result = invoke("verify", "piper-mine")
    assert result.exit_code == 1
    assert "wrong" in result.output


def test_the_list_names_families_without_an_adapter_and_broken_packs(home: Path) -> None:
    put(home, "piper/broken", sample_rate="fast")
    put(home, "nobodys/one")
    result = invoke("list")
    assert result.exit_code == 0
    assert "needs an adapter of family nobodys" in result.output
    assert "the pack piper/broken is broken: sample_rate" in result.stderr
    assert json.loads(invoke("list", "--json").stdout)["broken"][0]["name"] == "piper/broken"


def test_a_new_pack_is_well_and_is_not_overwritten(home: Path) -> None:
    result = invoke("new", "piper/mine")
    assert result.exit_code == 0
    written = home / "piper" / "mine" / "metadata.yaml"
    assert str(written) in result.output.replace("\n", "")
    assert (written.parent / "ref").is_dir()
    assert not find_packs(home).broken
    assert "model.onnx is missing in the pack's folder" in find_packs(home).good[0].why_absent()
    before = written.read_text()
    again = invoke("new", "piper/mine")
    assert again.exit_code != 0
    assert "exists already" in str(again.exception)
    assert written.read_text() == before


@pytest.mark.parametrize("name", ["piper", "piper/", "../x/y", "Piper/mine", "piper/mine/deep"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert invoke("new", name).exit_code == 2


def test_a_family_that_no_adapter_knows_is_refused_with_those_that_are(home: Path) -> None:
    result = invoke("new", "pipr/mine")
    assert "there is no family of voices 'pipr'; there are: cosyvoice2, csm" in str(result.exception)
    assert not (home / "pipr").exists()


def test_a_voice_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = invoke("pull", "piper-nobody")
    assert "there is no voice piper-nobody; there are: cosyvoice2-05b" in str(result.exception)
