"""A GPU that is not there is a wrong setting, and the variable that hides it is named."""

import sys
from types import SimpleNamespace

import pytest

from adapters.tts.devices import check_device
from protocol.errors import SettingsInvalid


def torch_with(gpus: int, *, cuda: str | None = "13.0") -> SimpleNamespace:
    """As far as it is asked."""
    return SimpleNamespace(
        cuda=SimpleNamespace(device_count=lambda: gpus, is_available=lambda: gpus > 0),
        version=SimpleNamespace(cuda=cuda),
    )


@pytest.mark.parametrize(
    ("gpus", "device", "environ", "reason"),
    [
        (0, "cuda:0", {}, "there is no cuda:0: torch finds no GPU here$"),
        (0, "cuda", {"CUDA_VISIBLE_DEVICES": "3"}, "no GPU here; CUDA_VISIBLE_DEVICES=3 hides all GPUs but those"),
        (0, "cuda", {"CUDA_VISIBLE_DEVICES": ""}, "no GPU here; CUDA_VISIBLE_DEVICES= hides all GPUs but those"),
        (1, "cuda:1", {"CUDA_VISIBLE_DEVICES": "3"}, "there is no cuda:1: torch finds 1, numbered from 0; CUDA_VIS"),
    ],
)
def test_a_gpu_that_is_not_there_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, environ: dict[str, str], reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_with(gpus))
    with pytest.raises(SettingsInvalid, match=f"^tts.device: .*{reason}"):
        check_device(device, environ)


def test_a_torch_that_knows_no_gpus_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_with(0, cuda=None))
    with pytest.raises(SettingsInvalid, match=r"no GPU here \(it was built without CUDA\)$"):
        check_device("cuda:0", {"CUDA_VISIBLE_DEVICES": "0"})


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
def test_one_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_with(2))
    check_device(device, {"CUDA_VISIBLE_DEVICES": "2,5"})


def test_the_cpu_is_always_there_and_a_missing_torch_is_for_others_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    check_device("cpu", {})
    check_device("cuda:0", {})
