"""A worker's metrics are served where its settings say, or not at all."""

import re
import socket

import pytest
from structlog.testing import capture_logs

from actors.bootstrap.metrics_server import serve_metrics
from protocol.errors import SettingsInvalid
from tests.e2e.system import get


def test_metrics_are_served_at_a_free_port_which_the_log_names() -> None:
    with capture_logs() as logged:
        serve_metrics("tts", "127.0.0.1", 0)
    (line,) = logged
    assert line["event"] == "metrics are served"
    status, page = get(line["port"], "/metrics")
    assert status == 200
    assert re.search(r"^process_resident_memory_bytes \d", page, flags=re.MULTILINE)


def test_without_a_port_nothing_is_served() -> None:
    with capture_logs() as logged:
        serve_metrics("tts", "127.0.0.1", None)
    assert logged == []


def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsInvalid, match=rf"asr\.metrics_port: cannot listen at 127\.0\.0\.1:{port}: "):
            serve_metrics("asr", "127.0.0.1", port)
