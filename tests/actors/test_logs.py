import io
import json
import logging
from typing import Any

import structlog

from actors.logs import configure_logging


def logged(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_is_json_with_the_part_that_speaks() -> None:
    output = io.StringIO()
    configure_logging("info", part="gateway", stream=output)
    structlog.get_logger().info("session opened", session="s1")
    (line,) = logged(output)
    assert (line["event"], line["session"], line["part"], line["level"]) == ("session opened", "s1", "gateway", "info")


def test_less_than_the_level_is_not_logged() -> None:
    output = io.StringIO()
    configure_logging("warning", stream=output)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("this")
    assert [line["event"] for line in logged(output)] == ["this"]


def test_what_libraries_log_goes_the_same_way() -> None:
    output = io.StringIO()
    configure_logging("info", stream=output)
    logging.getLogger("some.library").warning("careful %s", "there")
    (line,) = logged(output)
    assert (line["event"], line["logger"]) == ("careful there", "some.library")


def test_words_and_keys_never_reach_the_log_only_their_length() -> None:
    output = io.StringIO()
    configure_logging("info", stream=output)
    structlog.get_logger().info("said", text="my secret", api_key="hush", pcm=b"1234", transcript=["a"])
    (line,) = logged(output)
    assert line["text"] == "<9 long>"
    assert line["api_key"] == "<4 long>"
    assert line["pcm"] == "<4 long>"
    assert line["transcript"] == "<hidden>"


def test_an_exception_is_one_line() -> None:
    output = io.StringIO()
    configure_logging("info", stream=output)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("it failed")
    (line,) = logged(output)
    assert "ValueError: invalid literal" in line["exception"]
