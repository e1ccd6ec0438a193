"""A TTS worker process: one family of voices, spoken over NATS."""

import asyncio
from collections.abc import Sequence
from functools import partial

from actors.bootstrap import worker
from actors.bootstrap.packs import packs_to_speak_with
from actors.bootstrap.process import run_part
from actors.models import Voice
from actors.settings import TtsWorkerSettings, WorkerSettings
from actors.tts_worker import TtsWorker
from adapters.audio.mastering import calibrate
from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import VoicePack
from protocol.ids import Millis, ModelId
from protocol.ports import Bus, WorkerRegistry


def run(settings: WorkerSettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AntiphonError: what made it end.
    """
    run_part(f"tts-{settings.tts.family}", partial(_serve, settings), log_level=settings.log_level)


async def _serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    packs = packs_to_speak_with(settings)
    make = partial(_make, settings.tts, packs)
    await worker.serve(f"tts-{settings.tts.family}", settings.tts.family, settings, make, stop)


def _preloaded(tts: TtsWorkerSettings) -> list[ModelId]:
    return [ModelId(model) for model in tts.model_manager.preload_model_ids]


def _make(tts: TtsWorkerSettings, packs: Sequence[VoicePack], bus: Bus, registry: WorkerRegistry) -> TtsWorker:
    voices = [
        Voice(model=pack.model_id, languages=pack.languages, load=partial(load_synthesizer, pack, threads=tts.threads))
        for pack in packs
    ]
    default = packs[0].model_id
    return TtsWorker(
        name=tts.worker_name,
        bus=bus,
        registry=registry,
        voices=voices,
        calibrate=calibrate,
        preload=[default, *(model for model in _preloaded(tts) if model != default)],
        capacity=tts.max_sessions,
        lead_ms=Millis(tts.lead_ms),
    )
