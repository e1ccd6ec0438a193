"""What each installed voice costs by itself: loading, memory, and computing per second of speech.

No door of the product shows this without the rest of a worker, so it drives `adapters.tts` itself, with one thread,
each voice in a fresh process of its own. Sentences of 12 words; the first one of each process is not counted.
"""

import asyncio
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

import psutil

from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import find_packs
from tests.bench.fal import SENTENCES
from tests.bench.options import Options, Target
from tests.bench.results import Findings

RUNS = 12
STARTS_ITSELF = True
_PROCESSES: Final = 3
"""For each voice: so often loading and memory are measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one voice in one process; memory beyond what the process had before."""

    load_ms: float
    loaded_mb: float
    peak_mb: float
    first_chunk_ms: tuple[float, ...]
    rtf: tuple[float, ...]


async def measure(_target: Target | None, options: Options, findings: Findings) -> None:
    """Each voice whose weights are here."""
    runs = options.runs or RUNS
    for pack in find_packs().good:
        if (options.voices and pack.model_id not in options.voices) or not pack.is_present():
            continue
        for _ in range(_PROCESSES):
            cost = await asyncio.to_thread(_in_a_process, pack.model_id, -(-runs // _PROCESSES))
            findings.add(f"{pack.model_id}_load", cost.load_ms)
            findings.add(f"{pack.model_id}_loaded", cost.loaded_mb, "MB")
            findings.add(f"{pack.model_id}_peak", cost.peak_mb, "MB")
            for first_chunk_ms, rtf in zip(cost.first_chunk_ms, cost.rtf, strict=True):
                findings.add(f"{pack.model_id}_first_chunk", first_chunk_ms)
                findings.add(f"{pack.model_id}_rtf", rtf, "")


def _in_a_process(model: str, runs: int) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_cost, model, runs).result()


def _cost(model: str, runs: int) -> Cost:
    pack = find_packs().get(model)
    assert pack is not None
    before_mb = _resident_mb()
    began = time.perf_counter()
    voice = load_synthesizer(pack)
    load_ms = (time.perf_counter() - began) * 1000
    loaded_mb = _resident_mb() - before_mb
    first_ms, rtf = [], []
    for run in range(runs + 1):
        began = time.perf_counter()
        first, sounded = 0.0, 0
        for chunk in voice.synthesize(SENTENCES[run % len(SENTENCES)], language="en", speed=1.0):
            first = first or time.perf_counter() - began
            sounded += chunk.pcm.size
        if run:
            first_ms.append(first * 1000)
            rtf.append((time.perf_counter() - began) / (sounded / voice.sample_rate))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - before_mb
    return Cost(load_ms, loaded_mb, peak_mb, tuple(first_ms), tuple(rtf))


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
