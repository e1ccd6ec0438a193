"""Whether the device that torch is to run a model on is here."""

from collections.abc import Mapping
from typing import Final

from protocol.errors import SettingsInvalid

VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
"""The GPUs that a process may see; the first of them is `cuda:0` for it."""


def check_device(device: str, environ: Mapping[str, str]) -> None:
    """Imports torch, unless it is about the CPU; says nothing where torch is missing, which loading a model tells of.

    Raises:
        SettingsInvalid: there is no such GPU.
    """
    if device == "cpu":
        return
    try:
        import torch  # noqa: PLC0415  # takes seconds
    except ImportError:
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) < count:
        return
    found = f"torch finds {count}, numbered from 0" if count else "torch finds no GPU here"
    raise SettingsInvalid(f"tts.device: there is no {device}: {found}{_why(torch.version.cuda, environ)}")


def _why(cuda: str | None, environ: Mapping[str, str]) -> str:
    if cuda is None:
        return " (it was built without CUDA)"
    if VARIABLE in environ:
        return f"; {VARIABLE}={environ[VARIABLE]} hides all GPUs but those that it names"
    return ""
