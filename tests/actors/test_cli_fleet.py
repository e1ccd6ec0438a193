"""`antiphon workers` and `antiphon models`, in processes of their own, with workers on a real NATS server."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.cli import models, workers
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import UnixMicros
from protocol.workers import Drain, Load, LoadModel, ReloadModel
from tests.fakes.fleet import HEART, JOE, OperatedWorker, announcement

pytestmark = [pytest.mark.realtime, pytest.mark.system]

ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 60


class Command:
    """One run of the command line; its output is read line by line."""

    def __init__(self, *arguments: str, nats: str) -> None:
        environment = {**os.environ, "ANTIPHON_NATS_URL": nats, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "actors.cli.app", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    async def line(self, containing: str) -> str:
        """The next line with this in it."""
        return await asyncio.wait_for(asyncio.to_thread(self._line, containing), _LIMIT_S)

    def _line(self, containing: str) -> str:
        assert self.process.stdout is not None
        read: list[str] = []
        for line in self.process.stdout:
            read.append(line)
            if containing in line:
                return line.rstrip()
        raise AssertionError(f"{containing!r} is not in:\n{''.join(read)}")

    async def end(self, *, interrupt: bool = False) -> tuple[int, str]:
        """Status and the rest of the output."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        output, _ = await asyncio.to_thread(self.process.communicate, timeout=_LIMIT_S)
        return self.process.returncode, output


class Deployment:
    """Workers on a server."""

    def __init__(self, server: EmbeddedNats, bus: NatsBus, registry: NatsKvRegistry) -> None:
        self.url = server.url
        self._bus = bus
        self._registry = registry

    async def worker(self, name: str = "tts-0", **fields: object) -> OperatedWorker:
        return await OperatedWorker(self._bus, self._registry, announcement(name, **fields)).start()

    def start(self, *arguments: str) -> Command:
        return Command(*arguments, nats=self.url)

    async def run(self, *arguments: str) -> tuple[int, str]:
        return await self.start(*arguments).end()


@asynccontextmanager
async def _deployed(server: EmbeddedNats) -> AsyncIterator[Deployment]:
    bus = await NatsBus.connect(server.url, name="workers")
    registry = NatsKvRegistry(bus)
    try:
        yield Deployment(server, bus, registry)
    finally:
        await registry.close()
        await bus.close()


@pytest.fixture
async def deployment(nats_server: EmbeddedNats) -> AsyncIterator[Deployment]:
    async with _deployed(nats_server) as deployment:
        yield deployment


# --- workers ---------------------------------------------------------------------------------------------------------
async def test_workers_are_listed_with_their_figures(deployment: Deployment) -> None:
    await deployment.worker("tts-1", via="bridge")
    load = Load(rtf=0.214, queue_depth=3, p50_first_audio_ms=83.4)
    await deployment.worker("tts-0", sessions=2, capacity=32, metrics=load)
    status, output = await deployment.run("workers", "list")
    assert status == 0, output
    head, first, second = output.splitlines()
    columns = ["worker", "kind", "state", "sessions", "in", "memory", "queue", "rtf", "first", "audio", "up", "via"]
    assert head.split() == columns
    assert first.split()[:8] == ["tts-0", "tts", "ready", "2/32", "hibari-heart", "3", "0.21", "83"]
    assert second.split()[0] == "tts-1"
    assert second.split()[-1] == "bridge"


async def test_a_program_gets_json(deployment: Deployment) -> None:
    await deployment.worker(sessions=2)
    status, output = await deployment.run("workers", "list", "--json")
    assert status == 0, output
    (told,) = json.loads(output)["workers"]
    assert (told["worker"]["name"], told["worker"]["sessions"], told["answers"]) == ("tts-0", 2, True)
    assert [model["memory_mb"] for model in told["models"]] == [60, 0]


async def test_without_workers_it_says_so(deployment: Deployment) -> None:
    status, output = await deployment.run("workers", "list")
    assert status == 0
    assert "no worker has announced itself" in output


async def test_a_worker_that_hangs_is_shown_as_such(deployment: Deployment) -> None:
    worker = await deployment.worker()
    worker.silent = True
    _, output = await deployment.run("workers", "list")
    assert "no answer" in output


async def test_watching_prints_a_line_for_each_change_until_ctrl_c(deployment: Deployment) -> None:
    worker = await deployment.worker()
    watching = deployment.start("workers", "list", "--watch")
    assert "0/4" in await watching.line("tts-0")
    await worker.change(sessions=3)
    assert "tts-0" in await watching.line("3/4")
    await worker.end()
    await watching.line("tts-0  gone")
    status, output = await watching.end(interrupt=True)
    assert (status, output) == (0, "")


async def test_on_a_terminal_the_table_is_refreshed_in_place(deployment: Deployment) -> None:
    worker = await deployment.worker()
    terminal = Terminal("workers", "list", "--watch", nats=deployment.url)
    await terminal.shows("0/4")
    await worker.change(sessions=3)
    await terminal.shows("3/4")
    assert "\x1b[1A" in terminal.output, "the cursor goes up instead of a second table"
    status = await terminal.end()
    assert status == 0
    assert terminal.output.rstrip().endswith("\x1b[?25h"), "the cursor is visible again"
    assert "Traceback" not in terminal.output


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, *arguments: str, nats: str) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "ANTIPHON_NATS_URL": nats, "COLUMNS": "120", "LINES": "30", "TERM": "xterm"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "actors.cli.app", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while text not in self.output:
                self.output += await asyncio.to_thread(self._read)

    async def end(self) -> int:
        self._process.send_signal(signal.SIGINT)
        while piece := await asyncio.to_thread(self._read):
            self.output += piece
        os.close(self._master)
        return await asyncio.to_thread(self._process.wait, _LIMIT_S)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65_536).decode(errors="replace")
        except OSError:
            return ""  # nobody writes there any more


async def test_draining_waits_until_the_worker_has_ended(deployment: Deployment) -> None:
    worker = await deployment.worker(sessions=2)
    draining = deployment.start("workers", "drain", "tts-0")
    await draining.line("tts-0 drains: 2 sessions left")
    await worker.change(sessions=1)
    await draining.line("tts-0 drains: 1 session left")
    await worker.change(sessions=0)
    await draining.line("tts-0 drains: nothing left to do")
    await worker.end()
    assert await draining.end() == (0, "tts-0 has ended\n")


async def test_a_successor_of_the_same_name_is_not_waited_for(deployment: Deployment) -> None:
    worker = await deployment.worker(sessions=1)
    draining = deployment.start("workers", "drain", "tts-0")
    await draining.line("1 session left")
    await worker.change(started_at=UnixMicros(2), state="ready", sessions=0)
    assert await draining.end() == (0, "tts-0 has ended, and another one has taken its place\n")


async def test_draining_need_not_be_waited_for(deployment: Deployment) -> None:
    worker = await deployment.worker(sessions=2)
    status, output = await deployment.run("workers", "drain", "tts-0", "--no-wait")
    assert (status, output) == (0, "tts-0 drains: 2 sessions left\n")
    assert any(isinstance(message, Drain) for message in worker.asked)


async def test_ctrl_c_leaves_a_draining_worker_to_itself(deployment: Deployment) -> None:
    await deployment.worker(sessions=2)
    draining = deployment.start("workers", "drain", "tts-0")
    await draining.line("2 sessions left")
    status, output = await draining.end(interrupt=True)
    assert status == 0
    assert "drains on" in output


# --- models ----------------------------------------------------------------------------------------------------------
async def test_models_are_listed_of_all_workers_or_of_one(deployment: Deployment) -> None:
    await deployment.worker("tts-0")
    await deployment.worker("tts-1", models=(JOE,), resident_models=())
    status, output = await deployment.run("models", "list")
    assert status == 0, output
    rows = [line.split()[:3] for line in output.splitlines()[1:]]
    assert rows == [
        ["hibari-heart", "(default)", "tts-0"],
        ["piper-joe", "tts-0", "known"],
        ["piper-joe", "(default)", "tts-1"],
    ]
    _, output = await deployment.run("models", "list", "tts-1", "--json")
    assert [(m["worker"], m["model"]) for m in json.loads(output)["models"]] == [("tts-1", JOE)]


async def test_a_model_is_loaded_where_most_room_is(deployment: Deployment) -> None:
    full = await deployment.worker("tts-0", sessions=3)
    free = await deployment.worker("tts-1", sessions=1)
    status, output = await deployment.run("models", "load", JOE)
    assert status == 0, output
    said, done = output.splitlines()
    assert said == "loading piper-joe into tts-1"
    assert done.startswith("piper-joe is in the memory of tts-1 after ")
    assert done.endswith(" s, 60 MB")
    assert not any(isinstance(message, LoadModel) for message in full.asked)
    assert free.announced.resident_models
    assert (await deployment.run("models", "load", JOE))[1] == "piper-joe is in the memory of tts-1 already, 60 MB\n"


async def test_a_model_is_loaded_where_it_is_told_to(deployment: Deployment) -> None:
    worker = await deployment.worker("tts-0", sessions=3)
    await deployment.worker("tts-1")
    status, output = await deployment.run("models", "load", JOE, "--worker", "tts-0")
    assert status == 0, output
    assert JOE in worker.announced.resident_models


async def test_a_model_gives_its_memory_back_everywhere(deployment: Deployment) -> None:
    for name in ("tts-0", "tts-1"):
        await deployment.worker(name)
    status, output = await deployment.run("models", "unload", HEART)
    assert status == 0, output
    assert output.splitlines() == [f"tts-{n} has given hibari-heart back, 60 MB" for n in (0, 1)]
    status, output = await deployment.run("models", "unload", HEART)
    assert (status, output) == (1, "antiphon: not-loaded: no worker has hibari-heart in memory\n")


async def test_a_model_in_use_is_not_unloaded_and_the_error_says_by_how_many(deployment: Deployment) -> None:
    worker = await deployment.worker()
    worker.use(heart=2)
    status, output = await deployment.run("models", "unload", HEART)
    assert (status, output) == (1, "antiphon: model-in-use: 2 sessions speak with hibari-heart\n")


async def test_voice_packs_are_read_anew_by_all_that_have_some(deployment: Deployment) -> None:
    voices = await deployment.worker("tts-0")
    ears = await deployment.worker("asr-0", kind="asr")
    status, output = await deployment.run("models", "reload")
    assert (status, output) == (0, "tts-0 has read its voice packs anew\n")
    assert (await deployment.run("models", "reload", JOE))[1].endswith("piper-joe too\n")
    assert [m.model for m in voices.asked if isinstance(m, ReloadModel)] == [None, JOE]
    assert not any(isinstance(message, ReloadModel) for message in ears.asked)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models", "load", "nobody"), "no-such-model: no worker that is ready knows nobody; there are: hibari-heart"),
        (("models", "load", "piper-alan"), "; it is not pulled: antiphon voices pull piper-alan, then antiphon models"),
        (("models", "load", "piper-joe", "--worker", "nobody"), "no-such-worker: there is no worker nobody"),
        (("models", "list", "nobody"), "no-such-worker"),
        (("workers", "drain", "nobody"), "there are: tts-0"),
    ],
)
async def test_what_is_not_there_is_one_line_and_status_1(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("ANTIPHON_CACHE_DIR", str(tmp_path))  # where nothing was pulled
    await deployment.worker()
    status, output = await deployment.run(*arguments)
    assert status == 1
    assert said in output
    assert len(output.splitlines()) == 1


async def test_a_worker_that_lacks_a_voice_is_answered_for_with_the_way_to_get_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTIPHON_CACHE_DIR", str(tmp_path))
    await deployment.worker()
    status, output = await deployment.run("models", "load", "piper-alan", "--worker", "tts-0")
    assert status == 1
    assert "here; it is not pulled: antiphon voices pull piper-alan, then antiphon models reload" in output


async def test_no_server_is_one_line_that_names_it() -> None:
    for arguments in (("workers", "list"), ("models", "load", JOE)):
        status, output = await Command(*arguments, nats="nats://127.0.0.1:9").end()
        assert status == 1
        assert "nats://127.0.0.1:9" in output
        assert len(output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (workers.app, ["drain", "NO"]),
        (models.app, ["load", "no.model"]),
        (models.app, ["unload", "x", "--worker", "a b"]),
    ],
)
def test_what_can_be_no_name_is_a_wrong_usage(arguments: tuple[object, list[str]]) -> None:
    app, given = arguments
    assert CliRunner().invoke(app, given).exit_code == 2  # type: ignore[arg-type]  # a Typer application


def test_the_help_shows_examples() -> None:
    for app, command in ((workers.app, "list"), (workers.app, "drain"), (models.app, "list"), (models.app, "load")):
        assert "Example: antiphon" in CliRunner().invoke(app, [command, "--help"]).output
