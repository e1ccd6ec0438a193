"""What `antiphon tap` prints."""

import dataclasses
import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from actors.tapping import FrameSummary, Shown
from protocol.codec import type_of
from protocol.errors import MalformedMessage
from protocol.ids import SessionId
from protocol.message import Message
from protocol.subjects import Address, Channel, Subject, parse

_WHO: Final[dict[Channel, tuple[str, str]]] = {
    "session-command": ("→ session", "bold green"),
    "session-event": ("session", "green"),
    "session-playout": ("gateway", "dim"),
    "gate": ("→ gate", "magenta"),
    "vad": ("vad", "yellow"),
    "asr-command": ("→ asr", "bold cyan"),
    "asr-event": ("asr", "cyan"),
    "tts-command": ("→ tts", "bold blue"),
    "tts-event": ("tts", "blue"),
    "worker": ("→ worker", "bold red"),
    "worker-event": ("worker", "dim"),
    "router": ("→ router", "red"),
    "gateway-meta": ("gateway", "dim"),
    "tts-meta": ("tts", "dim"),
}
_ENVELOPE: Final = {"type", "session", "sent_at", "trace"}


class TapLines:
    """For people: time, who, what, and the fields that are set."""

    def __init__(self, console: Console | None = None, *, session: SessionId | None = None) -> None:
        self._console = console or Console()
        self._session = session

    def shown(self, what: str) -> Shown:
        """The call-backs; `what` is listened to."""
        return Shown(
            message=self._message,
            summary=self._summary,
            listening=lambda kind: self._print(Text(f"listening to {what}: {kind}", style="dim")),
        )

    def _message(self, subject: Subject, message: Message) -> None:
        try:
            address = parse(subject)
        except MalformedMessage:  # the bus has parsed it before
            return
        who, style = _WHO.get(address.channel, ("?", ""))
        at = message.sent_at / 1e6 if message.sent_at else time.time()
        line = self._begin(at, address, who, style)
        line.append(f"{type_of(message):<15} ", style=style)
        line.append(", ".join(f"{name} {_brief(value)}" for name, value in _fields(message)))
        self._print(line)

    def _summary(self, one: FrameSummary) -> None:
        address = Address("tts-frames" if one.worker else "mic-frames", one.session, one.worker)
        line = self._begin(time.time(), address, "sound", "dim")
        line.append(f"{one.frames:>3} frames      ", style="dim")
        line.append(f"turn {one.turn}, {one.first}-{one.end}" if one.worker else f"microphone, {one.first}-{one.end}")
        line.append(f", peak {one.peak_dbfs:.0f} dBFS")
        for name, count in (("missing", one.missing), ("repeated", one.repeated), ("comfort", one.comfort)):
            if count:
                line.append(f", {name} {count}", style="yellow")
        if one.last:
            line.append(", last")
        self._print(line)

    def _begin(self, at: float, address: Address, who: str, style: str) -> Text:
        clock = datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        line = Text(f"{clock} ", style="dim")
        if self._session is None and address.session is not None:
            line.append(f"{address.session[:8]:<8} ", style="dim")
        line.append(f"{f'{who} {address.worker}' if address.worker else who:<22} ", style=style)
        return line

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)


class JsonLines:
    """For programs: `{"subject", "message"}` or `{"frames"}` in each line."""

    def shown(self, what: str) -> Shown:
        """The call-backs; `what` is listened to."""
        return Shown(
            message=lambda subject, message: _print_json({"subject": subject, "message": message}),
            summary=lambda one: _print_json({"frames": {**dataclasses.asdict(one), "peak_dbfs": one.peak_dbfs}}),
            listening=lambda kind: _print_json({"listening": what, "kind": kind}),
        )


def _print_json(line: dict[str, Any]) -> None:
    print(orjson.dumps(line).decode(), flush=True)  # noqa: T201  # it is what the command is for


def _fields(message: Message) -> list[tuple[str, Any]]:
    """What is set, without the envelope."""
    values = ((field.name, getattr(message, field.name), field.default) for field in dataclasses.fields(message))
    return [(name, value) for name, value, default in values if name not in _ENVELOPE and value != default]


def _brief(value: Any) -> str:
    match value:
        case float():
            return f"{value:.3g}"
        case str():
            return f"“{value}”" if " " in value or not value else value
        case tuple():
            return f"[{len(value)}]"
        case dict():
            return " ".join(f"{name}={_brief(inner)}" for name, inner in value.items())
    if dataclasses.is_dataclass(value):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return " ".join(f"{name}={_brief(inner)}" for name, inner in fields if inner is not None)
    return str(value)
