"""What a model takes is given back: measured in a process of its own, load after load."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CYCLES = 21


@pytest.mark.models
@pytest.mark.system
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is known to give memory back when asked")
def test_after_twenty_loads_and_unloads_of_piper_the_process_is_as_large_as_after_the_first(tmp_path: Path) -> None:
    pytest.importorskip("piper", reason="Piper is an extra")
    cache = tmp_path / "cache"
    measure(1, cache)  # splits the voice's graph, which is done once for ever and takes more memory than the model
    loaded, unloaded = zip(*measure(CYCLES, cache), strict=True)
    first = unloaded[0]
    assert loaded[0] > 1.5 * first, "the model takes memory that is worth giving back"
    assert max(unloaded) < 1.05 * first


def measure(cycles: int, cache: Path) -> list[tuple[float, float]]:
    """Resident MB with the model and after it, for each cycle."""
    command = [sys.executable, "-m", "tests.actors.load_and_unload", "piper-joe", str(cycles), str(cache)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = re.findall(r"^(\d+\.\d) (\d+\.\d)$", done.stdout, flags=re.MULTILINE)
    assert len(lines) == cycles
    return [(float(loaded), float(unloaded)) for loaded, unloaded in lines]
