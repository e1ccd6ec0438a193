"""What the voices that need torch cost on a GPU: random weights at real size, built on the spot.

Speed does not depend on the values. The weights are written in the published format, loaded by the adapters as a
worker loads them, and spoken with as a worker's actor does: a chunk of each session in turn on one thread. Counted from
the text to the first chunk, without bus and frames (some 5 ms, see `fal`). Each variant has a process of its own; its
first phrase is not counted but told. How long a phrase is, is bounded (`--seconds`): random weights never say "end".
"""

import asyncio
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import typer

from protocol.errors import ModelUnavailable, SynthesisFailed
from tests.bench.gpu_checkpoint import EXTRAS, FAMILIES, NEEDS, build, is_installed
from tests.bench.gpu_speaking import Cost, Variant, cost_of
from tests.bench.options import GpuOptions, Options, Target
from tests.bench.results import Findings, Metric
from tests.checkpoints.sizes import REAL_MB

RUNS = 10
STARTS_ITSELF = True
SECONDS: Final = 4.0
SESSIONS: Final = (1, 2, 4)
PROMISED_MS: Final = 300.0
_HALVES: Final = ("bfloat16", "float16", "float32")
_COMPILES: Final = ("csm",)
"""Whose adapter can be compiled. Its cache is static either way; the others' libraries have dynamic ones only."""
_PACKAGES: Final = ("torch", "transformers", "coqui-tts", "peft", "cosyvoice2-eu")


def why_skipped() -> str | None:
    """Why a bare `just bench` leaves it out: no torch, or no GPU."""
    if not is_installed("torch"):
        return "gpu: skipped, torch is not installed (uv sync --extra csm --extra xtts)"
    import torch  # noqa: PLC0415  # only where an extra is installed

    return None if torch.cuda.is_available() else "gpu: skipped, there is no CUDA device"


async def measure(_target: Target | None, options: Options, findings: Findings) -> None:
    """One family after the other; what fails is told, noted, and does not keep the others from being measured."""
    chosen = options.gpu
    if chosen.device != "cpu" and (reason := why_skipped()):
        raise typer.BadParameter(f"{reason}; to try the bench itself: --device cpu --size tiny")
    findings.about |= {"size": chosen.size, "seconds": options.seconds or SECONDS, "packages": _versions()}
    failed: dict[str, str] = {}
    for family in _families(chosen):
        try:
            await asyncio.to_thread(_measure_family, family, options, findings, failed)
        except _FAULTS as error:
            _failed(family, error, failed)
    findings.about["failed"] = failed


def _families(chosen: GpuOptions) -> list[str]:
    """Those asked for, else those whose library is here."""
    if unknown := set(chosen.families) - set(FAMILIES):
        raise typer.BadParameter(f"no family is called {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    kept = []
    for family in chosen.families or FAMILIES:
        if is_installed(NEEDS[family]):
            kept.append(family)
        elif chosen.families:
            raise typer.BadParameter(f"{family}: {NEEDS[family]} is not installed: {EXTRAS[family]}")
        else:
            typer.echo(f"{family}: skipped, {NEEDS[family]} is not installed: {EXTRAS[family]}")
    return kept


def _measure_family(family: str, options: Options, findings: Findings, failed: dict[str, str]) -> None:
    chosen = options.gpu
    with tempfile.TemporaryDirectory(prefix=f"antiphon-{family}-") as folder:
        _say_size(family, chosen, Path(folder))
        _in_a_process(build, family, Path(folder), size=chosen.size)
        for variant in variants(family, options):
            try:
                cost = _in_a_process(cost_of, variant, Path(folder))
            except _FAULTS as error:
                _failed(variant.name, error, failed)
                continue
            findings.about["device"] = cost.device
            note(variant, cost, findings)


def variants(family: str, options: Options) -> list[Variant]:
    """Every number format, compiled and not."""
    chosen = options.gpu
    on_gpu = chosen.device != "cpu"
    both = family in _COMPILES and (on_gpu if chosen.compiled is None else chosen.compiled)
    return [
        Variant(
            family=family, device=chosen.device, dtype=dtype, compiled=compiled, seconds=options.seconds or SECONDS,
            sessions=options.sessions or SESSIONS, runs=options.runs or RUNS,
        )
        for dtype in chosen.dtypes or (_HALVES if on_gpu else ("float32",))
        for compiled in ((False, True) if both else (False,))
    ]  # fmt: skip


def note(variant: Variant, cost: Cost, findings: Findings) -> None:
    """A variant's figures, and whether it keeps what is promised."""
    name = variant.name
    findings.add(f"{name}_load", cost.load_s, "s")
    findings.add(f"{name}_first_phrase_fal", cost.first_phrase_ms)
    if cost.loaded_mb is not None:
        findings.add(f"{name}_loaded", cost.loaded_mb, "MB")
        findings.add(f"{name}_peak", cost.peak_mb, "MB")
    findings.add(f"{name}_host_peak", cost.host_peak_mb, "MB")
    for sessions, rounds in cost.rounds.items():
        for spoken in rounds:
            for first_ms in spoken.first_ms:
                findings.add(f"{name}_{sessions}_fal", first_ms)
            findings.add(f"{name}_{sessions}_rtf", spoken.rtf, "")
            for stall_ms in spoken.stall_ms:
                findings.add(f"{name}_{sessions}_stall", stall_ms)
        typer.echo(_verdict(f"{name}, {sessions} at once", cost.device, findings.metrics[f"{name}_{sessions}_fal"]))


def _verdict(what: str, device: str, fal: Metric) -> str:
    """Whether a GPU keeps the promise; what a processor takes is no answer to that."""
    p95 = float(fal.summary()["p95"])
    said = f"{what}, on {device}: FAL p95 {p95:.0f} ms"
    if device == "cpu":
        return f"{said} (not what is promised of a GPU)"
    return f"{said}, promised {PROMISED_MS:.0f}: {'kept' if p95 < PROMISED_MS else 'MISSED'}"


def _say_size(family: str, chosen: GpuOptions, folder: Path) -> None:
    if chosen.size == "tiny":
        return
    typer.echo(f"{family}: about {REAL_MB[family] / 1000:.1f} GB of random weights are written to {folder.parent}")
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < REAL_MB[family] * 1.2:
        raise OSError(f"{folder.parent} has {free_mb / 1000:.1f} GB free only (TMPDIR names another folder)")


def _in_a_process(function: Any, *arguments: Any, **named: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **named).result()


def _failed(what: str, error: Exception, failed: dict[str, str]) -> None:
    failed[what] = f"{type(error).__name__}: {error}"
    typer.echo(f"{what}: failed: {failed[what]}", err=True)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


_FAULTS: Final = (ModelUnavailable, SynthesisFailed, BrokenProcessPool, RuntimeError, OSError)
"""What one variant may die of: no memory, a kernel that is missing for a number format, a full disk."""
