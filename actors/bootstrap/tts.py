"""A TTS worker process: one family of voices, spoken over NATS."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial

from actors.bootstrap import worker
from actors.bootstrap.levels import kept_level
from actors.bootstrap.metrics_server import serve_metrics
from actors.bootstrap.packs import packs_to_speak_with
from actors.bootstrap.process import run_part
from actors.policies.resident import Limits
from actors.settings import ModelManagerSettings, TtsWorkerSettings, WorkerSettings
from actors.tts_worker import TtsWorker
from actors.voices import Voice
from adapters.audio.mastering import calibrate
from adapters.bus.nats import NatsBus
from adapters.process_memory import ProcessMemory, keep_one_heap
from adapters.references.nats_objects import NatsReferences
from adapters.tts.devices import check_device
from adapters.tts.loading import load_synthesizer
from adapters.tts.requirements import REQUIREMENTS
from adapters.voicepacks import VoicePack
from protocol.errors import SettingsInvalid
from protocol.ids import Millis, ModelId
from protocol.ports import WorkerRegistry


def run(settings: WorkerSettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AntiphonError: what made it end.
    """
    run_part(f"tts-{settings.tts.family}", partial(_serve, settings), log_level=settings.log_level)


async def _serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    keep_one_heap()
    packs = packs_to_speak_with(settings)
    tts = settings.tts
    _preloaded(tts.model_manager, default=packs[0].model_id)
    if tts.family in REQUIREMENTS and REQUIREMENTS[tts.family].torch:
        check_device(tts.device, os.environ)
    port = tts.metrics_port + tts.metrics_port_shift if tts.metrics_port else tts.metrics_port
    serve_metrics("tts", tts.metrics_host, port)
    make = partial(_make, settings, packs)
    await worker.serve(f"tts-{settings.tts.family}", settings.tts.family, settings, make, stop)


def _make(settings: WorkerSettings, packs: Sequence[VoicePack], bus: NatsBus, registry: WorkerRegistry) -> TtsWorker:
    tts = settings.tts
    return TtsWorker(
        name=tts.worker_name,
        bus=bus,
        registry=registry,
        voices=_voices(tts, packs),
        calibrate=calibrate,
        preload=_preloaded(tts.model_manager, default=packs[0].model_id),
        capacity=tts.max_sessions,
        lead_ms=Millis(tts.lead_ms),
        limits=_limits(tts.model_manager),
        check_every_ms=tts.model_manager.evict_check_interval_ms,
        meter=ProcessMemory(),
        references=NatsReferences(bus),
        reread=lambda: _voices(tts, packs_to_speak_with(settings)),
    )


def _preloaded(manager: ModelManagerSettings, *, default: ModelId) -> Sequence[ModelId]:
    """The default voice first.

    Raises:
        SettingsInvalid: they are more than are kept.
    """
    models = tuple(dict.fromkeys((default, *map(ModelId, manager.preload_model_ids))))
    if len(models) > manager.resident_cap:
        raise SettingsInvalid(
            f"tts.model_manager.preload_model_ids: with the default voice they are {len(models)}, "
            f"but resident_cap is {manager.resident_cap}"
        )
    return models


def _voices(tts: TtsWorkerSettings, packs: Sequence[VoicePack]) -> list[Voice]:
    return [
        Voice(
            model=pack.model_id,
            languages=pack.languages,
            load=partial(load_synthesizer, pack, threads=tts.threads, device=tts.device, dtype=tts.dtype),
            title=pack.title,
            licence=pack.licence,
            memory_mb=pack.memory_mb,
            base=pack.base,
            clones="zero_shot" in pack.tags,
            calibrate=kept_level(pack, device=tts.device, dtype=tts.dtype),
        )
        for pack in packs
    ]


def _limits(manager: ModelManagerSettings) -> Limits:
    return Limits(
        ttl_ms=manager.ttl_ms,
        min_residency_ms=manager.min_residency_ms,
        resident_cap=manager.resident_cap,
        memory_cap_mb=manager.memory_cap_mb,
        max_parallel_loads=manager.max_parallel_loads,
    )
