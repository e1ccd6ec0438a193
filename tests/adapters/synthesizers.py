"""Every TTS adapter, for the contract suites: one entry here brings a new one under all of them.

`tests/adapters/test_synthesizer_contract.py` holds each to the port, `tests/actors/test_tts_contract.py` to the
streaming interface behind a real worker.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from adapters.audio.mastering import calibrate
from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import find_packs
from protocol.errors import ModelUnavailable
from protocol.ports import SpeechShaper, Synthesizer
from tests.checkpoints.cosyvoice import build_cosyvoice
from tests.checkpoints.cosyvoice import write_pack as write_cosyvoice_pack
from tests.checkpoints.csm import build_csm
from tests.checkpoints.csm import write_pack as write_csm_pack
from tests.checkpoints.xtts import build_xtts
from tests.checkpoints.xtts import write_pack as write_xtts_pack
from tests.fakes.voices import FakeSynthesizer

Pace = Literal["instant", "fast", "slow"]
Length = Literal["brief", "usual", "thorough", "thousand"]
"""Of a test: one sentence, spoken once for all tests; a few of them; one for each of its chunks; a thousand."""
_WITH_THE_FAST_SUITE: Final[dict[Length, tuple[Pace, ...]]] = {
    "brief": ("instant", "fast", "slow"),
    "usual": ("instant", "fast"),
    "thorough": ("instant",),
    "thousand": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What the suites need to know of one.

    Attributes:
        make: a loaded model; it is made once and never closed, and skips the test where its package is missing.
        is_model: real speech comes out of it, which takes real computing.
        pace: which tests it takes with the fast suite (the fake one takes all); the others are for `just test-system`.
        repeatable: the same text gives the same samples. Without that, suites compare words and lengths only.
        first_chunk_s: how much sound its first chunk may hold at most.
        starts: how often it is started and stopped in search of leaks: a thousand times, unless that takes minutes;
            `STARTS=1000 pytest -k leave_nothing` spares none.
        heavy: needs torch and an extra; its weights are random, so that nobody understands what it says.
        tells_words: where its words are, which some models cannot tell.
        knows_speed: how fast to speak, which some models cannot be told.
    """

    name: str
    make: Callable[[], Synthesizer]
    is_model: bool = True
    pace: Pace = "slow"
    repeatable: bool = True
    first_chunk_s: float = 2.0
    starts: int = 1_000
    heavy: bool = False
    tells_words: bool = True
    knows_speed: bool = True

    @property
    def is_understood(self) -> bool:
        """Whether it says words that can be heard in its sound."""
        return self.is_model and not self.heavy


def _packed(model: str) -> Callable[[], Synthesizer]:
    @cache
    def make() -> Synthesizer:
        pack = find_packs().get(model)
        assert pack is not None
        try:
            return load_synthesizer(pack)
        except ModelUnavailable as error:
            pytest.skip(str(error))

    return make


def tiny(family: str, build: Callable[[Path], object]) -> Callable[[], Synthesizer]:
    """A model with random weights, written in the real format into a pack that lives as long as the tests run."""

    @cache
    def make() -> Synthesizer:
        folder = Path(tempfile.mkdtemp(prefix=f"antiphon-{family}-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        build(folder / family / "tiny")
        (pack,) = find_packs(folder).good
        return load_synthesizer(pack, cache=folder / "cache")

    return make


def _xtts(folder: Path) -> None:
    pytest.importorskip("TTS", reason="XTTS is an extra")
    write_xtts_pack(build_xtts(folder))


def _csm(folder: Path) -> None:
    pytest.importorskip("peft", reason="CSM is an extra")
    write_csm_pack(build_csm(folder))


@cache
def cosyvoice_folder() -> Path:
    """The files of a tiny CosyVoice 2; skips the test where its code is not, unless CI promises that it is there."""
    pytest.importorskip("hyperpyyaml", reason="CosyVoice is an extra")
    folder = Path(tempfile.mkdtemp(prefix="antiphon-cosyvoice-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        return build_cosyvoice(folder)
    except ModelUnavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def _cosyvoice(folder: Path) -> None:
    shutil.copytree(cosyvoice_folder(), folder)
    write_cosyvoice_pack(folder)


FAKE: Final = Adapter(name="fake", make=cache(FakeSynthesizer), is_model=False, pace="instant")
ADAPTERS: Final = (
    FAKE,
    Adapter(name="hibari", make=_packed("hibari-heart"), pace="instant"),
    Adapter(name="piper", make=_packed("piper-joe"), pace="fast"),
    Adapter(name="kokoro", make=_packed("kokoro-alpha"), first_chunk_s=8.0, starts=100),
    Adapter(name="xtts", make=tiny("xtts", _xtts), first_chunk_s=0.3, starts=200, heavy=True, tells_words=False),
    Adapter(
        name="csm",
        make=tiny("csm", _csm),
        first_chunk_s=0.1,
        heavy=True,
        tells_words=False,
        knows_speed=False,
    ),
    Adapter(name="cosyvoice", make=tiny("cosyvoice2", _cosyvoice), starts=200, heavy=True, tells_words=False),
)


def each(length: Length = "usual", adapters: Sequence[Adapter] = ADAPTERS) -> list[Any]:
    """Parameters for a test of this length."""
    if length == "thousand" and "STARTS" in os.environ:
        adapters = [replace(adapter, starts=int(os.environ["STARTS"])) for adapter in adapters]
    return [pytest.param(adapter, id=adapter.name, marks=_marks(adapter, length)) for adapter in adapters]


def _marks(adapter: Adapter, length: Length) -> list[pytest.MarkDecorator]:
    if not adapter.is_model:
        return []
    limit = pytest.mark.timeout(0 if "STARTS" in os.environ else 600)
    if adapter.heavy:
        return [pytest.mark.heavy, limit]
    marks = [pytest.mark.models, limit]
    return marks if adapter.pace in _WITH_THE_FAST_SUITE[length] else [*marks, pytest.mark.system]


@cache
def calibrated(adapter: Adapter) -> Callable[[], SpeechShaper]:
    """Its usual level, measured once for all tests."""
    return calibrate(adapter.make())
