"""What the tests of CSM share: packs with a tiny base and two adapters of it."""

import atexit
import shutil
import tempfile
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.voicepacks import VoicePack, find_packs
from protocol.ports import Pcm, PcmChunk
from tests.checkpoints.csm import build_packs

TEXT = "Hello there, my dear friend."


@cache
def tiny_packs() -> Path:
    """`csm-tiny`, and `csm-ada` and `csm-ben` that adapt it; they lie there as long as the tests run."""
    pytest.importorskip("peft", reason="CSM is an extra")
    folder = Path(tempfile.mkdtemp(prefix="antiphon-csm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build_packs(folder, "ada", "ben")


def pack_of(packs: Path, model: str) -> VoicePack:
    found = find_packs(packs).get(model)
    assert found is not None
    return found


def speak(voice: Any, text: str) -> Generator[PcmChunk, None, None]:
    going: Generator[PcmChunk, None, None] = voice.synthesize(text, language="en", speed=1.0)
    return going


def sound_of(chunks: list[PcmChunk]) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in chunks])
