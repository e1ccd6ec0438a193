"""Every TTS adapter, for the contract suites: one entry here brings a new one under all of them.

`tests/adapters/test_synthesizer_contract.py` holds each to the port, `tests/actors/test_tts_contract.py` to the
streaming interface behind a real worker.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest

from adapters.audio.mastering import calibrate
from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import find_packs
from protocol.errors import ModelUnavailable
from protocol.ports import SpeechShaper, Synthesizer
from tests.fakes.voices import FakeSynthesizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What the suites need to know of one.

    Attributes:
        make: a loaded model; it is made once and never closed, and skips the test where its package is missing.
        is_model: real speech comes out of it, which takes real computing.
        slow: its long cases are for `just test-system`, and it is started and stopped less often.
        repeatable: the same text gives the same samples. Without that, suites compare words and lengths only.
        first_chunk_s: how much sound its first chunk may hold at most.
        starts: how often it is started and stopped in search of leaks: a thousand times, unless that takes minutes.
    """

    name: str
    make: Callable[[], Synthesizer]
    is_model: bool = True
    slow: bool = False
    repeatable: bool = True
    first_chunk_s: float = 2.0
    starts: int = 1_000


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


FAKE: Final = Adapter(name="fake", make=cache(FakeSynthesizer), is_model=False)
ADAPTERS: Final = (
    FAKE,
    Adapter(name="hibari", make=_packed("hibari-heart")),
    Adapter(name="piper", make=_packed("piper-joe"), starts=200),
    Adapter(name="kokoro", make=_packed("kokoro-alpha"), slow=True, first_chunk_s=8.0, starts=20),
)


def each(adapters: Sequence[Adapter] = ADAPTERS, *, brief: bool = False, long: bool = False) -> list[Any]:
    """Parameters for a test.

    A `brief` test is so short that even a slow adapter takes it with the fast suite; a `long` one is so long that no
    model does.
    """
    params = []
    for adapter in adapters:
        marks = [pytest.mark.models] if adapter.is_model else []
        if adapter.slow or long:
            marks.append(pytest.mark.timeout(600))
        if (adapter.slow and not brief) or (adapter.is_model and long):
            marks.append(pytest.mark.system)
        params.append(pytest.param(adapter, id=adapter.name, marks=marks))
    return params


@cache
def calibrated(adapter: Adapter) -> Callable[[], SpeechShaper]:
    """Its usual level, measured once for all tests."""
    return calibrate(adapter.make())
