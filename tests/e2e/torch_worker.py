"""A worker process of a family that needs torch, started as an operator does it on a folder of tiny packs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import Flags, Frame
from protocol.conversation import Playout
from protocol.ids import ModelId, Samples, SessionId, TurnId, WorkerName
from protocol.speaking import SpeakingReady, StartSpeaking, Stop, TextChunk
from protocol.subjects import session_playout, tts_command, tts_frames
from tests.e2e.system import antiphon, plain_environment

WAIT_S: Final = 150.0
"""To import torch and all that a library brings, on a busy machine."""
TEXT: Final = "One, two, three, four."


def name_of(family: str) -> WorkerName:
    """What the worker is called."""
    return WorkerName(f"tts-{family}-under-test")


async def started(
    nats: EmbeddedNats,
    folder: Path,
    family: str,
    default: ModelId,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """With the packs of `folder`/packs, and these options of the command."""
    file = folder / "worker.yaml"
    dirs = {"voicepacks_dir": str(folder / "packs"), "cache_dir": str(folder / "cache")}
    tts = {"name": name_of(family), "metrics_port": 0, "model_manager": {"default_model_id": default}}
    file.write_text(yaml.safe_dump({**dirs, "nats": {"url": nats.url}, "tts": tts}), encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        *antiphon("serve", "tts", "--family", family, "--config", str(file), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**plain_environment(), **(environment or {})},
    )


async def ended(process: asyncio.subprocess.Process) -> str:
    """All that it says from now on, once it has ended."""
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    return output.decode()


@asynccontextmanager
async def a_worker(nats: EmbeddedNats, folder: Path, family: str, default: ModelId) -> AsyncIterator[NatsBus]:
    """Ready with its default model; it has to end well, too."""
    process = await started(nats, folder, family, default)
    assert process.stdout is not None
    bus = await NatsBus.connect(nats.url, name="test")
    try:
        async with asyncio.timeout(WAIT_S):
            while not (line := await process.stdout.readline()).startswith(b"ready:"):
                assert line, "it has ended"
        assert default.encode() in line
        yield bus
    finally:
        await bus.close()
        process.terminate()
        said = await ended(process)
    assert process.returncode == 0, said


async def spoken(
    bus: NatsBus,
    family: str,
    session: SessionId,
    *,
    model: ModelId | None = None,
    language: str = "en",
    turn: int = 1,
    frames_wanted: int | None = None,
) -> np.ndarray[Any, Any]:
    """A turn's sound, for a client that plays at once; `frames_wanted`: it is stopped after so many."""
    worker = name_of(family)
    number = TurnId(turn)
    frames: list[Frame] = []
    complete = asyncio.Event()

    def on_frame(_subject: object, frame: Frame) -> None:
        frames.append(frame)
        played = Playout(session=session, turn=number, played=frame.end, queued=Samples(0), held=False)
        bus.publish(session_playout(session), played)
        if Flags.LAST in frame.flags or len(frames) == frames_wanted:
            complete.set()

    start = StartSpeaking(session=session, model=model, language=language)
    assert isinstance(await bus.request(tts_command(session, worker), start, timeout_s=WAIT_S), SpeakingReady)
    subscription = await bus.subscribe_frames(tts_frames(session), on_frame, depth=1_000)
    bus.publish(tts_command(session, worker), TextChunk(session=session, turn=number, index=0, text=TEXT, last=True))
    async with asyncio.timeout(WAIT_S):
        await complete.wait()
    subscription.cancel()
    if frames_wanted is not None:
        bus.publish(tts_command(session, worker), Stop(session=session, turn=number))
    return np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(np.float32)
