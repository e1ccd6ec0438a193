"""A worker process with several real voices: its models come and go as its settings and its users want."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from actors.bootstrap.packs import all_packs
from actors.settings import WorkerSettings
from adapters.bus.nats import NatsBus
from adapters.registry.nats_kv import NatsKvRegistry
from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, SessionId, TurnId, WorkerName
from protocol.message import Message
from protocol.speaking import EndSpeaking, SpeakingReady, SpeechBegan, StartSpeaking, TextChunk
from protocol.subjects import tts_command, tts_event, worker
from protocol.workers import (
    Announcement,
    ListModels,
    LoadModel,
    ModelsListed,
    ModelStatus,
    ReloadModel,
    UnloadModel,
    WorkerDescribed,
)
from tests.adapters.registry_stage import eventually
from tests.adapters.voicepacks.shelf import put
from tests.e2e.system import antiphon, free_port, get, plain_environment

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.timeout(300)]

NAME: Final = WorkerName("tts-under-test")
JOE, TWIN, DAMAGED = ModelId("piper-joe"), ModelId("piper-twin"), ModelId("piper-damaged")
S1, S2 = SessionId("s1"), SessionId("s2")
WAIT_S: Final = 60.0


class Served:
    """A worker that has announced itself, and what is asked of it over NATS."""

    def __init__(self, bus: NatsBus, process: asyncio.subprocess.Process, metrics_port: int) -> None:
        self.bus = bus
        self.process = process
        self._metrics_port = metrics_port

    async def ask(self, message: Message) -> Any:
        return await self.bus.request(worker(NAME), message, timeout_s=WAIT_S)

    async def start(self, session: SessionId, model: ModelId | None = None) -> Any:
        message = StartSpeaking(session=session, model=model)
        return await self.bus.request(tts_command(session, NAME), message, timeout_s=WAIT_S)

    def end(self, session: SessionId) -> None:
        self.bus.publish(tts_command(session, NAME), EndSpeaking(session=session))

    async def speaks(self, session: SessionId, text: str = "Hello there.") -> None:
        """Until the first frame of a turn has left."""
        began = asyncio.Event()

        def on_event(_subject: object, message: object, _respond: object) -> None:
            if isinstance(message, SpeechBegan):
                began.set()

        events = await self.bus.subscribe(tts_event(session, NAME), on_event)
        chunk = TextChunk(session=session, turn=TurnId(1), index=0, text=text, last=True)
        self.bus.publish(tts_command(session, NAME), chunk)
        async with asyncio.timeout(WAIT_S):
            await began.wait()
        events.cancel()

    async def models(self) -> dict[ModelId, ModelStatus]:
        listed = await self.ask(ListModels())
        assert isinstance(listed, ModelsListed)
        return {status.model: status for status in listed.models}

    async def residents(self) -> set[ModelId]:
        return {model for model, status in (await self.models()).items() if status.state == "resident"}

    async def announces(self, *models: ModelId) -> None:
        """Until these are announced as resident."""
        seen = asyncio.Event()

        def on_change(_name: WorkerName, announcement: Announcement | None) -> None:
            if announcement is not None and announcement.resident_models == models:
                seen.set()

        registry = NatsKvRegistry(self.bus)
        await registry.watch(on_change)
        async with asyncio.timeout(WAIT_S):
            await seen.wait()
        await registry.close()

    async def metric(self, name: str) -> float:
        status, page = await asyncio.to_thread(get, self._metrics_port, "/metrics")
        assert status == 200
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


def put_joe(folder: Path, name: str, *, damaged: bool = False) -> Path:
    """Joe's weights as another voice, of files; a damaged one is cut off in the middle. Returns the weights' file."""
    joe = all_packs(WorkerSettings()).get("piper-joe")
    assert joe is not None
    files = [{"path": "v.onnx", "as": "weights"}, {"path": "v.onnx.json", "as": "config"}]
    home = put(folder, f"piper/{name}", sample_rate=22_050, source={"files": files}, memory_mb=120)
    weights = joe.file("weights").read_bytes()
    (home / "v.onnx").write_bytes(weights[: len(weights) // 2] if damaged else weights)
    (home / "v.onnx.json").write_bytes(joe.file("config").read_bytes())
    return home / "v.onnx"


@asynccontextmanager
async def a_worker(nats: EmbeddedNats, folder: Path, **manager: Any) -> AsyncIterator[Served]:
    """With Joe, the voices that were put there, and these settings of its model manager."""
    port = free_port()
    tts = {"family": "piper", "name": NAME, "metrics_port": port, "model_manager": manager}
    file = folder / "worker.yaml"
    file.write_text(yaml.safe_dump({"voicepacks_dir": str(folder / "packs"), "nats": {"url": nats.url}, "tts": tts}))
    process = await asyncio.create_subprocess_exec(
        *antiphon("serve", "tts", "--config", str(file)), stdout=asyncio.subprocess.PIPE, env=plain_environment()
    )
    bus = await NatsBus.connect(nats.url, name="test")
    draining = None
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while not (await process.stdout.readline()).startswith(b"ready:"):
                assert not process.stdout.at_eof(), "it has ended"
        draining = asyncio.create_task(process.stdout.read())
        yield Served(bus, process, port)
    finally:
        await bus.close()
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(WAIT_S):
            await process.wait()
        if draining is not None:
            await draining


def start_wrongly(
    folder: Path, content: dict[str, Any], *flags: str, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A worker that ends by itself."""
    file = folder / "worker.yaml"
    file.write_text(yaml.safe_dump(content))
    return subprocess.run(
        antiphon("serve", "tts", "--config", str(file), *flags),
        env={**plain_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    pytest.importorskip("piper", reason="Piper is an extra")
    (tmp_path / "packs").mkdir()
    return tmp_path / "packs"


async def test_models_come_and_go_with_those_who_use_them(
    nats_server: EmbeddedNats, tmp_path: Path, packs: Path
) -> None:
    put_joe(packs, "twin")
    async with a_worker(nats_server, tmp_path, default_model_id=JOE, resident_cap=1) as served:
        assert await served.residents() == {JOE}
        assert isinstance(await served.start(S1), SpeakingReady)
        refused = await served.ask(LoadModel(model=TWIN))
        assert refused.code == "no-room"
        assert (await served.ask(UnloadModel(model=JOE))).code == "model-in-use"

        ready = await served.start(S2, TWIN)
        assert (ready.model, ready.resident) == (TWIN, False)
        await served.speaks(S2)
        await served.speaks(S1)
        assert await served.residents() == {JOE, TWIN}, "both are in use"

        served.end(S1)
        assert await served.residents() == {TWIN}, "the cap holds for what nobody uses, even for the default voice"
        status = (await served.models())[TWIN]
        assert (status.users, status.title) == (1, "A voice")
        assert 50 < status.memory_mb < 400

        served.end(S2)
        assert isinstance(await served.start(S1), SpeakingReady)
        assert await served.residents() == {JOE}
        assert await served.metric("antiphon_tts_evictions_total") == 2
        assert await served.metric("antiphon_tts_resident_models") == 1


async def test_a_damaged_voice_is_reported_and_the_worker_serves_on_until_it_is_repaired(
    nats_server: EmbeddedNats, tmp_path: Path, packs: Path
) -> None:
    weights = put_joe(packs, "damaged", damaged=True)
    preload = {"default_model_id": JOE, "preload_model_ids": [DAMAGED]}
    async with a_worker(nats_server, tmp_path, **preload) as served:
        status = (await served.models())[DAMAGED]
        assert status.state == "failed"
        assert status.reason.startswith("Piper's voice v.onnx cannot be loaded: ")
        assert await served.metric('antiphon_tts_load_failures_total{reason="corrupt"}') == 1

        for _ in range(3):
            refused = await served.start(S2, DAMAGED)
            assert refused.code == "model-unavailable"
        assert await served.metric("antiphon_tts_load_failures_total") <= 2, "not tried again at each request"
        assert isinstance(await served.start(S1), SpeakingReady)
        await served.speaks(S1)

        joe = all_packs(WorkerSettings()).get("piper-joe")
        assert joe is not None
        weights.write_bytes(joe.file("weights").read_bytes())
        described = await served.ask(ReloadModel(model=DAMAGED))
        assert isinstance(described, WorkerDescribed)
        assert set(described.worker.resident_models) == {JOE, DAMAGED}
        assert isinstance(await served.start(S2, DAMAGED), SpeakingReady)
        await served.speaks(S2)


async def test_a_voice_that_nobody_uses_goes_by_itself_and_a_new_pack_is_known_after_a_reload(
    nats_server: EmbeddedNats, tmp_path: Path, packs: Path
) -> None:
    times = {"ttl_ms": 500, "min_residency_ms": 0, "evict_check_interval_ms": 60_000}
    async with a_worker(nats_server, tmp_path, default_model_id=JOE, **times) as served:
        put_joe(packs, "twin")
        assert (await served.ask(LoadModel(model=TWIN))).code == "no-such-model"
        described = await served.ask(ReloadModel())
        assert described.worker.models == (JOE, TWIN)
        assert described.worker.model_languages == {JOE: ("en",), TWIN: ("en",)}
        assert (await served.ask(LoadModel(model=TWIN))).worker.resident_models == (JOE, TWIN)

        async def is_evicted() -> bool:
            return await served.metric('antiphon_tts_evictions_total{reason="ttl"}') == 1

        await eventually(is_evicted)  # an announcement of one voice may be the one from before the other was loaded
        await served.announces(JOE)


@pytest.mark.parametrize("given", ["flag", "file", "variable"])
def test_a_default_voice_that_does_not_exist_ends_the_worker_with_status_2_and_names_those_that_do(
    tmp_path: Path, packs: Path, given: str
) -> None:
    put_joe(packs, "twin")
    content: dict[str, Any] = {"voicepacks_dir": str(packs), "tts": {"family": "piper"}}
    if given == "file":
        content["tts"]["model_manager"] = {"default_model_id": "piper-nobody"}
    variable = {"ANTIPHON_TTS_MODEL_MANAGER_DEFAULT_MODEL_ID": "piper-nobody"} if given == "variable" else {}
    flags = ("--model", "piper-nobody") if given == "flag" else ()
    done = start_wrongly(tmp_path, content, *flags, environment=variable)
    assert done.returncode == 2
    complaint = "tts.model_manager.default_model_id: there is no piper-nobody; there are: piper-joe, piper-twin"
    assert f"antiphon: {complaint}" in done.stderr


def test_more_preloaded_voices_than_are_kept_are_a_wrong_setting(tmp_path: Path, packs: Path) -> None:
    put_joe(packs, "twin")
    manager = {"default_model_id": str(JOE), "preload_model_ids": [str(TWIN)], "resident_cap": 1}
    done = start_wrongly(tmp_path, {"voicepacks_dir": str(packs), "tts": {"family": "piper", "model_manager": manager}})
    assert done.returncode == 2
    assert "preload_model_ids: with the default voice they are 2, but resident_cap is 1" in done.stderr


async def test_a_default_voice_that_cannot_be_loaded_ends_the_worker_with_the_reason(
    nats_server: EmbeddedNats, tmp_path: Path, packs: Path
) -> None:
    put_joe(packs, "damaged", damaged=True)
    tts = {"family": "piper", "model_manager": {"default_model_id": str(DAMAGED)}}
    content = {"voicepacks_dir": str(packs), "nats": {"url": nats_server.url}, "tts": tts}
    done = await asyncio.to_thread(start_wrongly, tmp_path, content)
    assert done.returncode == 1
    assert "antiphon: Piper's voice v.onnx cannot be loaded: " in done.stderr
