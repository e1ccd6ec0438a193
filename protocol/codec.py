"""Control messages to bytes and back. Decoding trusts nobody: it returns a valid message or raises MalformedMessage."""

import dataclasses
from functools import reduce
from operator import or_
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from protocol import conversation, directory, hearing, measures, routing, speaking, workers
from protocol.errors import MalformedMessage
from protocol.exchanges import REPLIES
from protocol.ids import UnixMicros
from protocol.message import Message
from protocol.subjects import Channel, Subject, parse

MAX_MESSAGE_BYTES: Final = 60_000
"""Below the server's `max_payload` of 64 KB."""

_UNIONS: Final[dict[Channel, Any]] = {
    "session-command": conversation.SessionCommand,
    "session-event": conversation.SessionEvent,
    "session-playout": conversation.Playout,
    "gate": conversation.GateCommand,
    "vad": hearing.VadEvent,
    "asr-command": hearing.AsrCommand,
    "asr-event": hearing.AsrEvent,
    "tts-command": speaking.TtsCommand,
    "tts-event": speaking.TtsEvent,
    "worker": workers.WorkerCommand,
    "worker-event": workers.Pulse,
    "router": routing.Route,
    "gateway-meta": measures.GatewayMeasures,
    "tts-meta": measures.TtsMeasures,
}
_ADAPTERS: Final[dict[Channel, TypeAdapter[Any]]] = {channel: TypeAdapter(union) for channel, union in _UNIONS.items()}
_REPLIES: Final[TypeAdapter[Any]] = TypeAdapter(reduce(or_, REPLIES))
_CLIENT: Final[TypeAdapter[Any]] = TypeAdapter(conversation.ClientMessage)
_SERVER: Final[TypeAdapter[Any]] = TypeAdapter(conversation.ServerMessage)
_ANNOUNCEMENT: Final[TypeAdapter[workers.Announcement]] = TypeAdapter(workers.Announcement)
_SESSION: Final[TypeAdapter[directory.SessionEntry]] = TypeAdapter(directory.SessionEntry)


def type_of(message: Message) -> str:
    """The message's `type`, which is also the last token of its subject."""
    return str(message.type)  # type: ignore[attr-defined]  # each concrete message declares its own literal


def encode(message: Message, *, sent_at: UnixMicros | None = None) -> bytes:
    """The message as UTF-8 JSON, stamped with `sent_at` if given.

    Raises:
        MalformedMessage: if it is larger than a bus carries.
    """
    if sent_at is not None:
        message = dataclasses.replace(message, sent_at=sent_at)
    data = orjson.dumps(message)
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"a {type_of(message)} of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return data


def _decode(adapter: TypeAdapter[Any], data: bytes | str) -> Any:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"{len(data)} bytes are over the limit of {MAX_MESSAGE_BYTES}")
    try:
        return adapter.validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise MalformedMessage(_summary(error)) from error


def _summary(error: Exception) -> str:
    """Where it is wrong, without what stood there: a message may hold a person's words."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"][:6]) or "message"
    return f"{where[:200]}: {first['msg'][:200]}"


def decode(subject: str, data: bytes) -> Message:
    """The message that came on `subject`.

    Raises:
        MalformedMessage: for anything that does not belong on that subject.
    """
    address = parse(subject)
    adapter = _ADAPTERS.get(address.channel)
    if adapter is None:
        raise MalformedMessage(f"{address.channel} carries audio, not messages")
    message: Message = _decode(adapter, data)
    if type_of(message) != address.name:
        raise MalformedMessage(f"a {type_of(message)} on a subject for {address.name[:64]}")
    session = getattr(message, "session", None)
    if session is not None and address.session is not None and session != address.session:
        raise MalformedMessage("the message names another session than its subject")
    return message


def decode_reply(data: bytes) -> Message:
    """What came back on an inbox."""
    message: Message = _decode(_REPLIES, data)
    return message


def decode_client(data: str | bytes) -> Message:
    """What a client sent as text."""
    message: Message = _decode(_CLIENT, data)
    return message


def decode_server(data: str | bytes) -> Message:
    """What a server sent to its client as text."""
    message: Message = _decode(_SERVER, data)
    return message


def encode_announcement(announcement: workers.Announcement) -> bytes:
    """A registry entry."""
    return orjson.dumps(announcement)


def decode_announcement(data: bytes) -> workers.Announcement:
    """A registry entry, whoever wrote it."""
    announcement: workers.Announcement = _decode(_ANNOUNCEMENT, data)
    return announcement


def encode_session(entry: directory.SessionEntry) -> bytes:
    """An entry of the bucket `sessions`."""
    return orjson.dumps(entry)


def decode_session(data: bytes) -> directory.SessionEntry:
    """An entry of the bucket `sessions`, whoever wrote it."""
    entry: directory.SessionEntry = _decode(_SESSION, data)
    return entry


def json_schema() -> dict[str, Any]:
    """One JSON Schema of everything above, by channel."""
    keyed = [(channel, "validation", adapter) for channel, adapter in _ADAPTERS.items()]
    extra: list[tuple[str, Any, TypeAdapter[Any]]] = [
        ("reply", "validation", _REPLIES),
        ("websocket-up", "validation", _CLIENT),
        ("websocket-down", "validation", _SERVER),
        ("announcement", "validation", _ANNOUNCEMENT),
        ("session-entry", "validation", _SESSION),
    ]
    schemas, definitions = TypeAdapter.json_schemas([*keyed, *extra])  # type: ignore[list-item]  # invariant mode
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Antiphon protocol",
        "channels": {name: schema for (name, _), schema in sorted(schemas.items())},
        "$defs": definitions.get("$defs", {}),
    }


def subject_for(base: Subject, message: Message) -> Subject:
    """`base` ends with `*`; the message's type takes its place."""
    return Subject(base.removesuffix("*") + type_of(message))
