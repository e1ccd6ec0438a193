"""What a model takes is given back: measured in a process of its own, load after load."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from actors.bootstrap.allocator import GIVES_BACK

ROOT = Path(__file__).resolve().parents[2]
CYCLES = 21

pytestmark = [
    pytest.mark.models,
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="only glibc is known to give memory back when asked"),
]


def test_after_twenty_loads_and_unloads_of_piper_the_process_is_as_large_as_after_the_first(tmp_path: Path) -> None:
    pytest.importorskip("piper", reason="Piper is an extra")
    cache = tmp_path / "cache"
    measure("piper-joe", 1, cache)  # splits the graph, which is done once for ever and takes more than the model
    loaded, unloaded = zip(*measure("piper-joe", CYCLES, cache), strict=True)
    first = unloaded[0]
    assert loaded[0] > 1.5 * first, "the model takes memory that is worth giving back"
    assert max(unloaded) < 1.05 * first


def test_hibaris_dictionaries_leave_no_holes_in_a_process_that_antiphon_up_starts(tmp_path: Path) -> None:
    """With CPython's own allocator a third more is left after twenty loads."""
    loaded, unloaded = zip(*measure("hibari-heart", CYCLES, tmp_path, GIVES_BACK), strict=True)
    first = unloaded[0]
    assert loaded[0] > 1.5 * first, "the model takes memory that is worth giving back"
    assert max(unloaded) < 1.1 * first


def measure(
    model: str, cycles: int, cache: Path, environment: Mapping[str, str] | None = None
) -> list[tuple[float, float]]:
    """Resident MB with the model and after it, for each cycle."""
    command = [sys.executable, "-m", "tests.actors.load_and_unload", model, str(cycles), str(cache)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=True
    )
    lines = re.findall(r"^(\d+\.\d) (\d+\.\d)$", done.stdout, flags=re.MULTILINE)
    assert len(lines) == cycles
    return [(float(loaded), float(unloaded)) for loaded, unloaded in lines]
