"""Logs of a process: JSON lines, or readable ones at a terminal; always on standard error.

Session ids are logged; texts, audio, keys and paths of users' files never are.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import orjson
import structlog

_NEVER: Final = frozenset(
    {"text", "texts", "transcript", "prompt", "api_key", "admin_key", "key", "token", "password", "pcm", "audio"}
)
_TOO_TALKATIVE: Final = ("aiortc", "aioice", "faster_whisper", "httpx", "httpcore", "openai", "asyncio")


def configure_logging(level: str = "info", *, part: str = "", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, once per process.

    Args:
        level: debug, info, warning or error.
        part: what this process is, in each line; empty for a command, which logs too little to gain by cached loggers.
        stream: standard error if None.
    """
    output = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Named(part),
        _without_secrets,
    ]
    structlog.configure(
        processors=[*shared, *_rendering(output)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=bool(part),
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=number, force=True)
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _rendering(output: TextIO) -> list[structlog.types.Processor]:
    if output.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_as_json)]


def _as_json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


class _Named:
    """Says in each line which process speaks."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if self._part:
            event.setdefault("part", self._part)
        return event


def _without_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last fence: a field that could hold what a person said, or a key, leaves with its length only."""
    for name in _NEVER.intersection(event):
        value = event[name]
        event[name] = f"<{len(value)} long>" if isinstance(value, str | bytes) else "<hidden>"
    return event


class _ToStructlog(logging.Handler):
    """What libraries log goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the standard library, from any thread."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
