"""What a loaded model costs: several phrases in turn on one thread, as a worker's actor speaks them."""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from adapters.tts.loading import load_synthesizer
from protocol.ports import Synthesizer
from tests.bench.fal import SENTENCES
from tests.bench.gpu_checkpoint import pack_of, text_of

_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is measured, in a process of its own."""

    family: str
    device: str
    dtype: str
    compiled: bool = False
    seconds: float
    sessions: tuple[int, ...]
    runs: int

    @property
    def name(self) -> str:
        """As metrics begin."""
        return f"{self.family}_{self.dtype}{'_compiled' if self.compiled else ''}"


@dataclass(frozen=True, slots=True)
class Spoken:
    """One round of phrases that began together.

    Attributes:
        first_ms: of each session: from the text to its first chunk.
        rtf: computing per second that all of them listen; above 1, nobody can be served in time.
        stall_ms: of each session: by how much its worst chunk came after what it had until then was played.
    """

    first_ms: tuple[float, ...]
    rtf: float
    stall_ms: tuple[float, ...]


@dataclass(slots=True)
class Cost:
    """Of one variant.

    Attributes:
        device: its name.
        loaded_mb, peak_mb: of the GPU's memory, None without one.
        host_peak_mb: of main memory, mapped files included, beyond what the process had before it imported torch.
        first_phrase_ms: to the first chunk of the very first phrase, which pays for compiling and choosing kernels.
        rounds: by the number of sessions.
    """

    device: str
    load_s: float
    loaded_mb: float | None
    first_phrase_ms: float
    rounds: dict[int, list[Spoken]] = field(default_factory=dict)
    peak_mb: float | None = None
    host_peak_mb: float = 0.0


def cost_of(variant: Variant, root: Path) -> Cost:
    """Load and speak; in a fresh process, because memory is measured."""
    before_mb = _resident_mb()
    pack = pack_of(variant.family, root, seconds=variant.seconds, compiled=variant.compiled)
    began = time.perf_counter()
    voice = load_synthesizer(pack, device=variant.device, dtype=variant.dtype)
    load_s = time.perf_counter() - began
    loaded_mb = _allocated_mb(variant.device)
    warm = speak_in_turn(voice, _texts(variant, 0, 1))  # not counted: compiles, and chooses kernels
    cost = Cost(_device_name(variant.device), load_s, loaded_mb, warm.first_ms[0])
    for sessions in variant.sessions:
        cost.rounds[sessions] = [
            speak_in_turn(voice, _texts(variant, run, sessions)) for run in range(1, variant.runs + 1)
        ]
    cost.peak_mb = _allocated_mb(variant.device, most=True)
    cost.host_peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MB - before_mb
    return cost


def speak_in_turn(voice: Synthesizer, texts: Sequence[str]) -> Spoken:
    """All phrases at once, a chunk of each in turn, until all are over."""
    began = time.perf_counter()
    going = dict(enumerate(voice.synthesize(text, language="en", speed=1.0) for text in texts))
    first, sounded = [0.0] * len(texts), [0.0] * len(texts)
    stall = [0.0] * len(texts)
    while going:
        for session, chunks in list(going.items()):
            chunk = next(chunks, None)
            now = time.perf_counter() - began
            if chunk is None:
                del going[session]
                continue
            first[session] = first[session] or now
            stall[session] = max(stall[session], now - first[session] - sounded[session])
            sounded[session] += chunk.pcm.size / voice.sample_rate
    took = time.perf_counter() - began
    if not all(sounded):
        raise RuntimeError("a phrase had no sound")
    mean = sum(sounded) / len(texts)
    return Spoken(tuple(s * 1000 for s in first), took / mean, tuple(s * 1000 for s in stall))


def _texts(variant: Variant, run: int, sessions: int) -> list[str]:
    chosen = [SENTENCES[(run + session) % len(SENTENCES)] for session in range(sessions)]
    return [text_of(variant.family, sentence, variant.seconds) for sentence in chosen]


def _allocated_mb(device: str, *, most: bool = False) -> float | None:
    if device == "cpu":
        return None
    import torch  # noqa: PLC0415  # only where an extra is installed

    return float(torch.cuda.max_memory_allocated(device) if most else torch.cuda.memory_allocated(device)) / _MB


def _device_name(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch  # noqa: PLC0415  # only where an extra is installed

    return str(torch.cuda.get_device_name(device))


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / _MB
