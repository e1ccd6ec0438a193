"""What torch's own profiler has seen of a voice: by phase of the adapter, and by operation."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_PHASES: Final = ("csm.", "xtts.", "cosyvoice.")
"""How the names of our phases begin (adapters/tts/ranges.py)."""
_ROWS: Final = 25


class Recording:
    """Everything that torch does while it is entered."""

    def __init__(self, *, on_gpu: bool) -> None:
        from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415  # only where an extra is installed

        self._on_gpu = on_gpu
        activities = [ProfilerActivity.CPU, *((ProfilerActivity.CUDA,) if on_gpu else ())]
        self._profile: Any = profile(activities=activities)

    def __enter__(self) -> Self:
        self._profile.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._profile.__exit__(kind, error, traceback)

    def write(self, path: Path) -> Path:
        """A trace in Chrome's format."""
        self._profile.export_chrome_trace(str(path))
        return path

    def phases(self) -> dict[str, tuple[int, float, float]]:
        """By name: how often, milliseconds on the CPU, and on the GPU."""
        found = {}
        for row in self._profile.key_averages():
            if row.key.startswith(_PHASES) and row.cpu_time_total:  # on a GPU each has a second row, of its kernels
                found[row.key] = (row.count, row.cpu_time_total / 1000, row.device_time_total / 1000)
        return found

    def tables(self) -> str:
        """For people."""
        phases = sorted(self.phases().items(), key=lambda phase: -phase[1][1])
        whole = sum(cpu_ms for _, (_, cpu_ms, _) in phases) or 1.0
        lines = [f"{'phase':<24}{'times':>8}{'CPU ms':>12}{'share':>8}{'each, ms':>12}{'GPU ms':>12}"]
        lines += [
            f"{name:<24}{count:>8}{cpu_ms:>12.1f}{cpu_ms / whole:>8.0%}{cpu_ms / count:>12.3f}{gpu_ms:>12.1f}"
            for name, (count, cpu_ms, gpu_ms) in phases
        ]
        by = "self_device_time_total" if self._on_gpu else "self_cpu_time_total"
        operations = self._profile.key_averages().table(sort_by=by, row_limit=_ROWS, max_name_column_width=40)
        return "\n".join([*lines, "", str(operations)])
