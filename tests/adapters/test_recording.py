from typing import Any

import numpy as np
import pytest

from adapters.audio.recording import decode
from protocol.errors import Refused
from tests.adapters.recordings import sound_file


@pytest.mark.parametrize(
    "options",
    [{}, {"kind": "FLAC"}, {"kind": "OGG"}, {"channels": 2}, {"subtype": "FLOAT"}, {"rate": 16_000}, {"seconds": 30.0}],
    ids=str,
)
def test_a_sound_file_becomes_a_recording_in_mono(options: dict[str, Any]) -> None:
    reference = decode(sound_file(**options), " What is \n said. ")
    assert reference.text == "What is said."
    assert reference.sample_rate == options.get("rate", 24_000)
    assert reference.seconds == pytest.approx(options.get("seconds", 2.0), abs=0.02)
    assert reference.pcm.dtype == np.float32
    assert 0.25 < np.abs(reference.pcm).max() < 0.35


def test_a_rate_beyond_all_hearing_is_brought_down() -> None:
    reference = decode(sound_file(rate=96_000), "Said.")
    assert reference.sample_rate == 48_000
    assert reference.seconds == pytest.approx(2.0, abs=0.001)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"seconds": 0.9}, "0.9 s long"),
        ({"seconds": 30.5}, "30.5 s long"),
        ({"rate": 8_000}, "8000 Hz"),
        ({"channels": 3}, "3 channels"),
        ({"kind": "AIFF"}, "is AIFF"),
        ({"level": 0.0}, "silent"),
        ({"level": float("nan"), "subtype": "FLOAT"}, "silent"),
    ],
    ids=str,
)
def test_what_is_of_no_use_is_refused_with_the_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        decode(sound_file(**options), "Said.")
    assert refused.value.code == "bad-reference"


@pytest.mark.parametrize("data", [b"", b"hello", sound_file()[:20], b"RIFF" + bytes(2_000)])
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="bad-reference"):
        decode(data, "Said.")


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001])
def test_a_text_is_wanted(text: str) -> None:
    with pytest.raises(Refused, match="The text says what is said"):
        decode(sound_file(), text)
