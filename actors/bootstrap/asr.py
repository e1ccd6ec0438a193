"""The ASR worker process: Whisper, heard and answered over NATS."""

import asyncio
import time
from functools import partial

from actors.asr_worker import AsrWorker
from actors.bootstrap import worker
from actors.bootstrap.metrics_server import serve_metrics
from actors.bootstrap.process import run_part
from actors.settings import WorkerSettings
from adapters.asr import models
from adapters.asr.whisper import WhisperRecognizer
from adapters.process_memory import keep_one_heap
from protocol.errors import SettingsInvalid
from protocol.ports import Bus, WorkerRegistry


def run(settings: WorkerSettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        AntiphonError: what made it end.
    """
    run_part("asr", partial(_serve, settings), log_level=settings.log_level)


async def _serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    keep_one_heap()
    serve_metrics("asr", settings.asr.metrics_host, settings.asr.metrics_port)
    await worker.serve("asr", "whisper", settings, partial(_make, settings), stop)


def _make(settings: WorkerSettings, bus: Bus, registry: WorkerRegistry) -> AsrWorker:
    asr = settings.asr
    model = asr.model or models.DEFAULT
    return AsrWorker(
        name=asr.worker_name,
        bus=bus,
        registry=registry,
        load=partial(
            WhisperRecognizer,
            model,
            device=asr.device,
            compute_type=asr.compute_type,
            threads=asr.threads,
            beam=asr.beam_size,
        ),
        clock=time.monotonic,
        languages=_languages(model, asr.language),
        capacity=asr.max_sessions,
    )


def _languages(model: str, preferred: str) -> tuple[str, ...]:
    """What the model knows, the configured language first.

    Raises:
        SettingsInvalid: it does not know that one.
    """
    known = models.languages(model)
    if preferred not in known:
        raise SettingsInvalid(f"asr.language: the model {model} does not know {preferred!r}")
    return (preferred, *(language for language in known if language != preferred))
