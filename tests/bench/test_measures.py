"""The instruments themselves."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.bench.caller import lateness_ms
from tests.bench.jitter import deviations_ms
from tests.bench.results import Findings, write
from tests.bench.resume import differing, missing
from tests.clients.sound import end_of_sound, first_audible, is_audible


def test_frames_on_their_grid_deviate_by_nothing() -> None:
    assert deviations_ms([100 + n * 0.02 for n in range(50)]) == pytest.approx([0.0] * 35)


def test_one_late_frame_deviates_by_its_lateness() -> None:
    times = [100 + n * 0.02 for n in range(50)]
    times[30] += 0.007
    assert max(deviations_ms(times)) == pytest.approx(7.0)


def test_what_is_sent_in_advance_is_no_jitter() -> None:
    times = [100.0] * 10 + [100 + n * 0.02 for n in range(5, 45)]
    assert max(deviations_ms(times)) == pytest.approx(0.0)


def test_the_latest_packet_is_as_late_as_it_came_after_its_place() -> None:
    on_time = [(100 + n * 0.02, 960 * n) for n in range(9)]
    assert lateness_ms(on_time) == pytest.approx(0.0, abs=1e-6)
    assert lateness_ms([*on_time, (100.215, 960 * 9), (100.22, 960 * 10)]) == pytest.approx(35.0)
    assert lateness_ms([(100.0, 0), (100.0, 960), (100.0, 1_920)]) == 0.0, "what comes in advance is not late"


def test_sound_begins_and_ends_where_it_is_loud() -> None:
    sound = np.zeros(4_800, np.int16)
    sound[960:1_920] = 3_000
    assert is_audible(sound, 48_000)
    assert first_audible(sound, 48_000) == 960
    assert end_of_sound(sound, 48_000) == 1_920


def test_noise_below_the_limit_is_silence() -> None:
    assert not is_audible(np.full(480, 50, np.int16), 48_000)


def test_a_lost_and_a_changed_sample_are_counted() -> None:
    rendered = np.arange(10, dtype=np.int16)
    changed = rendered.copy()
    changed[3] = 99
    assert missing(rendered[:-1], rendered) == 1
    assert differing(changed, rendered) == 1
    assert differing(rendered[:-1], rendered) == 1
    assert differing(rendered, rendered) == 0


def test_findings_are_written_in_the_documented_form(tmp_path: Path) -> None:
    findings = Findings()
    for value in (1.0, 2.0, 3.0, None):
        findings.add("it", value)
    findings.add("never", None)
    document = orjson.loads(write("name", 3, findings, tmp_path).read_bytes())
    assert set(document) == {"name", "machine", "versions", "runs", "metrics"}
    assert document["metrics"]["it"] == {"p50": 2.0, "p95": 2.9, "max": 3.0, "unit": "ms", "n": 3}
    assert document["metrics"]["never"]["n"] == 0
