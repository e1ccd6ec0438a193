"""`python -m tests.bench.profile_tts FAMILY`: a few phrases under a profiler (docs/profiling.md).

With `--tool nsys` or `ncu` it starts itself again under that tool, which records between two marks only: loading and
the first phrase, which compiles and chooses kernels, are not of interest.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import VoicePack, find_packs
from protocol.errors import ModelUnavailable
from protocol.ports import Synthesizer
from tests.bench.fal import SENTENCES
from tests.bench.gpu_checkpoint import EXTRAS, FAMILIES, NEEDS, build, is_installed, pack_of, text_of
from tests.bench.profile_report import Recording
from tests.bench.profile_tools import Tool, command, why_not
from tests.checkpoints.sizes import Size
from tests.e2e.system import ROOT

_Tool = Literal["torch", "nsys", "ncu", "marks"]


def main(
    family: Annotated[str, typer.Argument(help=f"Of {', '.join(FAMILIES)}.")],
    *,
    tool: Annotated[_Tool, typer.Option(help="marks: what nsys and ncu start: between them they record.")] = "torch",
    pack: Annotated[str | None, typer.Option(help="A voice whose weights are here; none: random weights.")] = None,
    size: Annotated[Size, typer.Option(help="Of random weights.")] = "real",
    device: Annotated[str | None, typer.Option(help="cuda:0 where there is one, else cpu.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="CSM's networks; random weights only.")] = False,
    phrases: Annotated[int, typer.Option(min=1, help="To record.")] = 2,
    seconds: Annotated[float, typer.Option(help="How long a phrase of random weights is.")] = 2.0,
    phase: Annotated[str | None, typer.Option(help="The range that ncu looks into.")] = None,
    out: Annotated[Path, typer.Option(help="Where reports and traces go.")] = ROOT / "bench-results",
) -> None:
    """Load a family's model, speak once for nothing, then speak under the profiler.

    Example: python -m tests.bench.profile_tts csm --size tiny --device cpu
    """
    if family not in FAMILIES:
        raise typer.BadParameter(f"no family is called {family}; there are {', '.join(FAMILIES)}")
    if not is_installed(NEEDS[family]):
        _end(f"{NEEDS[family]} is not installed: {EXTRAS[family]}")
    out.mkdir(parents=True, exist_ok=True)
    if tool in ("nsys", "ncu"):
        _under(tool, family, out, phase)
        return
    device = device or _device()
    texts = [text_of(family, SENTENCES[n % len(SENTENCES)], seconds) for n in range(phrases + 1)]
    with _pack(family, pack, size=size, seconds=seconds, compiled=compiled) as chosen:
        try:
            voice = load_synthesizer(chosen, device=device, dtype=dtype)
        except ModelUnavailable as error:
            _end(str(error))
        _say(voice, texts[:1])
        if tool == "marks":
            with _marks():
                _say(voice, texts[1:])
            return
        with Recording(on_gpu=device != "cpu") as recording:
            _say(voice, texts[1:])
    trace = recording.write(out / f"profile-{family}.json")
    typer.echo(recording.tables())
    typer.echo(f"{phrases} phrases on {device}; trace for chrome://tracing or ui.perfetto.dev: {trace}")


def _under(tool: Tool, family: str, out: Path, phase: str | None) -> None:
    """This very program, with the same options, as the tool's child."""
    if reason := why_not(tool):
        _end(reason)
    again = [sys.executable, "-m", "tests.bench.profile_tts", *sys.argv[1:], "--tool", "marks"]
    for line in command(tool, family, again, out=out, phase=phase):
        typer.echo(" ".join(line))
        if code := subprocess.run(line, check=False, cwd=ROOT).returncode:
            raise typer.Exit(code)


@contextlib.contextmanager
def _pack(family: str, name: str | None, *, size: Size, seconds: float, compiled: bool) -> Iterator[VoicePack]:
    """A voice that is here, or one with random weights for as long as it is needed."""
    if name is not None:
        found = find_packs().get(name)
        if found is None or found.family != family:
            raise typer.BadParameter(f"there is no {family} voice called {name}")
        yield found
        return
    with tempfile.TemporaryDirectory(prefix=f"antiphon-{family}-") as folder:
        build(family, Path(folder), size=size)
        yield pack_of(family, Path(folder), seconds=seconds, compiled=compiled)


def _say(voice: Synthesizer, texts: list[str]) -> None:
    for text in texts:
        for _ in voice.synthesize(text, language="en", speed=1.0):
            pass


@contextlib.contextmanager
def _marks() -> Iterator[None]:
    """Between which nsys and ncu record."""
    import torch  # noqa: PLC0415  # only where an extra is installed

    if not torch.cuda.is_available():
        _end("there is no CUDA device; on a CPU: just profile-tts")
    torch.cuda.synchronize()
    torch.cuda.profiler.start()
    try:
        yield
        torch.cuda.synchronize()
    finally:
        torch.cuda.profiler.stop()


def _device() -> str:
    import torch  # noqa: PLC0415  # only where an extra is installed

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _end(reason: str) -> None:
    typer.echo(reason, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
