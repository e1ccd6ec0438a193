"""Memory as this process holds it; a GPU's is a fake here, since none is at hand where the tests run."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from adapters.process_memory import ProcessMemory


def test_what_is_allocated_and_used_is_seen_and_what_is_freed_is_given_back() -> None:
    memory = ProcessMemory()
    memory.give_back()
    before = memory.used().process_mb
    held = np.ones(25_000_000, np.float64)
    assert memory.used().process_mb - before == pytest.approx(200.0, abs=20.0)
    del held
    memory.give_back()
    assert memory.used().process_mb - before == pytest.approx(0.0, abs=20.0)


def test_without_torch_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert ProcessMemory().used().device_mb == 0.0


@pytest.mark.parametrize(("ready", "expected"), [(True, 300.0), (False, 0.0)])
def test_with_torch_on_a_gpu_its_memory_is_told_and_its_unused_blocks_are_given_back(
    monkeypatch: pytest.MonkeyPatch, *, ready: bool, expected: float
) -> None:
    emptied: list[str] = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: ready,
        memory_allocated=lambda: 300 * 2**20,
        empty_cache=lambda: emptied.append("yes"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    memory = ProcessMemory()
    memory.give_back()
    assert memory.used().device_mb == expected
    assert bool(emptied) == ready
