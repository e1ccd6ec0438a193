"""`antiphon serve tts --family xtts`, as an operator starts it: it speaks, or says what to install."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import yaml

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import Flags, Frame
from protocol.conversation import Playout
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.speaking import SpeakingReady, StartSpeaking, TextChunk
from protocol.subjects import session_playout, tts_command, tts_frames
from tests.checkpoints.xtts import build_xtts, write_pack
from tests.e2e.system import antiphon, plain_environment

NAME: Final = WorkerName("tts-xtts-under-test")
SESSION: Final = SessionId("s1")
TURN: Final = TurnId(1)
WAIT_S: Final = 150.0
"""To import torch and all that the library brings, on a busy machine."""
_HAS_XTTS: Final = importlib.util.find_spec("TTS") is not None


async def started(nats: EmbeddedNats, folder: Path) -> asyncio.subprocess.Process:
    file = folder / "worker.yaml"
    dirs = {"voicepacks_dir": str(folder / "packs"), "cache_dir": str(folder / "cache")}
    tts = {"name": NAME, "metrics_port": 0, "model_manager": {"default_model_id": "xtts-tiny"}}
    file.write_text(yaml.safe_dump({**dirs, "nats": {"url": nats.url}, "tts": tts}), encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        *antiphon("serve", "tts", "--family", "xtts", "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=plain_environment(),
    )


async def ended(process: asyncio.subprocess.Process) -> str:
    """All that it says from now on, once it has ended."""
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    return output.decode()


async def spoken(bus: NatsBus) -> np.ndarray[Any, Any]:
    """A turn's sound, for a client that plays at once."""
    frames: list[Frame] = []
    complete = asyncio.Event()

    def on_frame(_subject: object, frame: Frame) -> None:
        frames.append(frame)
        played = Playout(session=SESSION, turn=TURN, played=frame.end, queued=Samples(0), held=False)
        bus.publish(session_playout(SESSION), played)
        if Flags.LAST in frame.flags:
            complete.set()

    await bus.subscribe_frames(tts_frames(SESSION), on_frame, depth=1_000)
    say = TextChunk(session=SESSION, turn=TURN, index=0, text="One, two, three.", last=True)
    bus.publish(tts_command(SESSION, NAME), say)
    async with asyncio.timeout(WAIT_S):
        await complete.wait()
    return np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(np.float32)


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_a_process_speaks_over_nats_from_the_files_of_a_pack(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    pytest.importorskip("TTS", reason="XTTS is an extra")
    write_pack(build_xtts(tmp_path / "packs" / "xtts" / "tiny"))
    process = await started(nats_server, tmp_path)
    assert process.stdout is not None
    bus = await NatsBus.connect(nats_server.url, name="test")
    try:
        async with asyncio.timeout(WAIT_S):
            while not (line := await process.stdout.readline()).startswith(b"ready:"):
                assert line, "it has ended"
        assert b"xtts-tiny" in line
        start = StartSpeaking(session=SESSION, language="pt-BR")
        assert isinstance(await bus.request(tts_command(SESSION, NAME), start, timeout_s=WAIT_S), SpeakingReady)
        sound = await spoken(bus)
        assert len(sound) > 48_000 * 0.5
        assert np.sqrt(np.mean(sound**2)) > 100
    finally:
        await bus.close()
        process.terminate()
        said = await ended(process)
    assert process.returncode == 0, said


@pytest.mark.skipif(_HAS_XTTS, reason="the extra is installed")
async def test_without_the_extra_the_command_says_what_to_install(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    home = tmp_path / "packs" / "xtts" / "tiny"
    home.mkdir(parents=True)
    for file in ("model.pth", "config.json", "vocab.json", "speakers_xtts.pth"):
        (home / file).write_bytes(b"never read")
    write_pack(home)
    process = await started(nats_server, tmp_path)
    said = await ended(process)
    assert process.returncode != 0
    assert "install antiphon[xtts] (in a checkout: uv sync --extra xtts)" in said
