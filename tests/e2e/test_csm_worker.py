"""`antiphon serve tts --family csm`, as an operator starts it: a base and an adapter of it speak in one process."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import yaml

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import Flags, Frame
from protocol.conversation import Playout
from protocol.ids import ModelId, Samples, SessionId, TurnId, WorkerName
from protocol.speaking import SpeakingReady, StartSpeaking, TextChunk
from protocol.subjects import session_playout, tts_command, tts_frames, worker
from protocol.workers import ListModels, ModelsListed
from tests.checkpoints.csm import build_packs, write_pack
from tests.e2e.system import antiphon, plain_environment

NAME: Final = WorkerName("tts-csm-under-test")
BASE, ADA = ModelId("csm-tiny"), ModelId("csm-ada")
WAIT_S: Final = 150.0
"""To import torch and the rest, on a busy machine."""
_HAS_CSM: Final = importlib.util.find_spec("peft") is not None


async def started(nats: EmbeddedNats, folder: Path) -> asyncio.subprocess.Process:
    file = folder / "worker.yaml"
    dirs = {"voicepacks_dir": str(folder / "packs"), "cache_dir": str(folder / "cache")}
    manager = {"default_model_id": BASE, "resident_cap": 2}
    tts = {"name": NAME, "metrics_port": 0, "model_manager": manager}
    file.write_text(yaml.safe_dump({**dirs, "nats": {"url": nats.url}, "tts": tts}), encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        *antiphon("serve", "tts", "--family", "csm", "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=plain_environment(),
    )


async def ended(process: asyncio.subprocess.Process) -> str:
    """All that it says from now on, once it has ended."""
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    return output.decode()


@asynccontextmanager
async def a_worker(nats: EmbeddedNats, folder: Path) -> AsyncIterator[NatsBus]:
    """Ready; it has to end well, too."""
    process = await started(nats, folder)
    assert process.stdout is not None
    bus = await NatsBus.connect(nats.url, name="test")
    try:
        async with asyncio.timeout(WAIT_S):
            while not (line := await process.stdout.readline()).startswith(b"ready:"):
                assert line, "it has ended"
        yield bus
    finally:
        await bus.close()
        process.terminate()
        said = await ended(process)
    assert process.returncode == 0, said


async def spoken(bus: NatsBus, session: SessionId, model: ModelId) -> np.ndarray[Any, Any]:
    """A turn's sound, for a client that plays at once."""
    frames: list[Frame] = []
    complete = asyncio.Event()
    turn = TurnId(1)

    def on_frame(_subject: object, frame: Frame) -> None:
        frames.append(frame)
        played = Playout(session=session, turn=turn, played=frame.end, queued=Samples(0), held=False)
        bus.publish(session_playout(session), played)
        if Flags.LAST in frame.flags:
            complete.set()

    start = StartSpeaking(session=session, model=model)
    assert isinstance(await bus.request(tts_command(session, NAME), start, timeout_s=WAIT_S), SpeakingReady)
    await bus.subscribe_frames(tts_frames(session), on_frame, depth=1_000)
    say = TextChunk(session=session, turn=turn, index=0, text="One, two, three, four.", last=True)
    bus.publish(tts_command(session, NAME), say)
    async with asyncio.timeout(WAIT_S):
        await complete.wait()
    return np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(np.float32)


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_a_base_and_its_adapter_speak_in_one_process_for_two_sessions(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="CSM is an extra")
    build_packs(tmp_path / "packs", "ada")
    async with a_worker(nats_server, tmp_path) as bus:
        base, ada = await asyncio.gather(spoken(bus, SessionId("s1"), BASE), spoken(bus, SessionId("s2"), ADA))
        again = await spoken(bus, SessionId("s3"), BASE)
        listed = await bus.request(worker(NAME), ListModels(), timeout_s=WAIT_S)
    assert isinstance(listed, ModelsListed)
    assert {status.model: status.state for status in listed.models} == {BASE: "resident", ADA: "resident"}
    for sound in (base, ada):
        assert len(sound) > 48_000 * 0.5
        assert np.sqrt(np.mean(sound**2)) > 100
    assert np.array_equal(base, again)
    assert not np.array_equal(base, ada)


@pytest.mark.skipif(_HAS_CSM, reason="the extra is installed")
async def test_without_the_extra_the_command_says_what_to_install(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    home = tmp_path / "packs" / "csm" / "tiny"
    home.mkdir(parents=True)
    (home / "config.json").write_text("{}", encoding="utf-8")  # never read
    write_pack(home)
    said = await ended(await started(nats_server, tmp_path))
    assert "install antiphon[csm] (in a checkout: uv sync --extra csm)" in said
