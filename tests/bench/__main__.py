"""`python -m tests.bench NAME...`: measure, print a table, write bench-results/NAME.json."""

import contextlib
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from tests.bench.options import GpuOptions, Options, Target
from tests.bench.results import Findings, show, write
from tests.checkpoints.sizes import Size
from tests.e2e.system import ROOT, System

_TABLE_WIDTH: Final = 100
NAMES: Final = (
    "pause",
    "gate",
    "silence",
    "resume",
    "fal",
    "synthesis",
    "jitter",
    "voice",
    "sessions",
    "coldstart",
    "idle",
    "route",
    "pulse",
    "failover",
    "swap",
    "registry",
    "gpu",
)


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(NAMES)}; all of them if none.")] = None,
    *,
    runs: Annotated[int | None, typer.Option(help="Repetitions in each session.")] = None,
    sessions: Annotated[list[int] | None, typer.Option(help="Sessions side by side; may be repeated.")] = None,
    voice: Annotated[list[str] | None, typer.Option(help="Models (fal, synthesis); may be repeated.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How long to watch (idle), to speak (gpu).")] = None,
    family: Annotated[list[str] | None, typer.Option(help="csm, xtts, cosyvoice2 (gpu); may be repeated.")] = None,
    size: Annotated[Size, typer.Option(help="Of the random weights (gpu).")] = "real",
    device: Annotated[str, typer.Option(help="Where they compute (gpu).")] = "cuda:0",
    dtype: Annotated[list[str] | None, typer.Option(help="bfloat16, float16, float32 (gpu).")] = None,
    compiled: Annotated[bool | None, typer.Option("--compile/--no-compile", help="CSM compiled, too (gpu).")] = None,
    url: Annotated[str | None, typer.Option(help="A running gateway; without it, a system is started.")] = None,
    nats: Annotated[str | None, typer.Option(help="That system's NATS server.")] = None,
    out: Annotated[Path, typer.Option(help="Where the JSON files go.")] = ROOT / "bench-results",
) -> None:
    """Measure a system through its public doors, as a client in processes of its own.

    Example: python -m tests.bench fal voice --runs 30
    """
    unknown = [name for name in names or () if name not in NAMES]
    if unknown:
        raise typer.BadParameter(f"no bench is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if (url is None) != (nats is None):
        raise typer.BadParameter("--url and --nats belong together: the gateway and the NATS server of one system")
    running = Target(url=url, nats_url=nats) if url and nats else None
    gpu = GpuOptions(
        families=tuple(family or ()), size=size, device=device, dtypes=tuple(dtype or ()), compiled=compiled
    )
    options = Options(runs=runs, sessions=tuple(sessions or ()), voices=tuple(voice or ()), seconds=seconds, gpu=gpu)
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    failed = False
    for name in names or NAMES:
        if not names and (reason := _why_skipped(name)):
            console.print(reason)
            continue
        findings = run(name, running, options)
        show(name, findings, console)
        console.print(f"written to {write(name, _runs(name, options), findings, out)}\n", soft_wrap=True)
        failed = failed or bool(findings.about.get("failed"))
    if failed:
        raise typer.Exit(1)


def run(name: str, running: Target | None, options: Options) -> Findings:
    """One bench, against the running system or one started for it."""
    findings = Findings()
    measure = importlib.import_module(f"tests.bench.{name}").measure
    with _target(name, running) as target:
        uvloop.run(measure(target, options, findings))
    return findings


def _why_skipped(name: str) -> str | None:
    """Why it cannot be had here, of a bench that nobody has asked for by name."""
    why = getattr(importlib.import_module(f"tests.bench.{name}"), "why_skipped", None)
    return None if why is None else str(why() or "") or None


def _runs(name: str, options: Options) -> int:
    return options.runs or int(importlib.import_module(f"tests.bench.{name}").RUNS)


@contextlib.contextmanager
def _target(name: str, running: Target | None) -> Iterator[Target | None]:
    if getattr(importlib.import_module(f"tests.bench.{name}"), "STARTS_ITSELF", False):
        yield None
    elif running is not None:
        yield running
    else:
        with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
            yield Target(url=system.url, nats_url=system.nats_url, system=system)


if __name__ == "__main__":
    typer.run(main)
