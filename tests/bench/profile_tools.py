"""How Nsight Systems and Nsight Compute are called to look at a voice."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

Tool = Literal["nsys", "ncu"]
_PRODUCTS: Final[dict[Tool, str]] = {"nsys": "Nsight Systems", "ncu": "Nsight Compute"}
_REPORTS: Final = ("nvtx_sum", "nvtx_gpu_proj_sum", "cuda_gpu_kern_sum", "cuda_api_sum", "cuda_gpu_mem_time_sum")
STEPS: Final = {"csm": "csm.depth", "xtts": "xtts.gpt", "cosyvoice2": "cosyvoice.llm"}
"""The phase in which a family takes most of its steps."""
_KERNELS: Final = 200
"""That ncu looks at: it runs each of them some forty times."""


def why_not(tool: Tool) -> str | None:
    """What to install, if it is not here."""
    if shutil.which(tool):
        return None
    return (
        f"{tool} is not installed: it is NVIDIA {_PRODUCTS[tool]}, part of the CUDA toolkit "
        f"(https://developer.nvidia.com/{_PRODUCTS[tool].lower().replace(' ', '-')}), and has to be on the PATH"
    )


def command(tool: Tool, family: str, program: Sequence[str], *, out: Path, phase: str | None) -> list[list[str]]:
    """The commands to run one after the other: record `program` between its marks, then summarise.

    `phase` is the range that ncu looks into; None: the family's steps.
    """
    report = str(out / f"{tool}-{family}")
    if tool == "nsys":
        return [_nsys(report, program), ["nsys", "stats", "--report", ",".join(_REPORTS), f"{report}.nsys-rep"]]
    record = [
        "ncu", "--target-processes", "all", "--profile-from-start", "off",
        "--nvtx", "--nvtx-include", f"{phase or STEPS[family]}/",  # the slash: a range that is pushed and popped
        "--graph-profiling", "node", "--launch-count", str(_KERNELS), "--set", "full",
        "--force-overwrite", "--export", report, *program,
    ]  # fmt: skip
    return [record, ["ncu", "--import", f"{report}.ncu-rep", "--print-summary", "per-kernel"]]


def _nsys(report: str, program: Sequence[str]) -> list[str]:
    return [
        "nsys", "profile", "--trace=cuda,nvtx,osrt", "--sample=none", "--cpuctxsw=none", "--cuda-graph-trace=node",
        "--capture-range=cudaProfilerApi", "--capture-range-end=stop",
        "--force-overwrite=true", f"--output={report}", *program,
    ]  # fmt: skip
