"""`python -m protocol.asyncapi` prints the AsyncAPI document of all channels: docs/asyncapi.json holds it.

It describes the deployment as a whole. Where something is answered it receives, everywhere else it sends.
"""

import json
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from protocol.asyncapi_messages import (
    PCM,
    Json,
    binary_messages,
    frame_name,
    frames_of,
    json_message,
    kinds_of,
    moved_schema,
    ref,
    type_of,
)
from protocol.audio import Kind
from protocol.codec import MAX_MESSAGE_BYTES, json_schema
from protocol.exchanges import ANSWERS, EXCHANGES
from protocol.ids import TOKEN_PATTERN
from protocol.subjects import Channel, addresses

_NATS: Final = "nats"
_WEBSOCKET: Final = "websocket"
_INBOX: Final = "inbox"
_ANSWERS: Final = {asked.__name__: [kind.__name__ for kind in kinds] for asked, kinds in ANSWERS.items()}


def asyncapi_text() -> str:
    """The document as it is kept: indented, ending in a newline."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Json:
    """The AsyncAPI 3.0.0 document, complete in itself."""
    schema, sounds = json_schema(), binary_messages()
    schemas, kinds = schema["$defs"], {name: kinds_of(union) for name, union in schema["channels"].items()}
    up, down = [*kinds["websocket-up"], PCM], [*kinds["websocket-down"], frame_name(Kind.SPEECH)]
    said = {channel: kinds.get(channel) or frames_of(EXCHANGES[channel]) for channel in addresses()}
    on_bus = [name for names in said.values() for name in names]
    replies = list(dict.fromkeys(answer for name in on_bus for answer in _answers(name)))
    told = sorted({*on_bus, *up, *down, *replies})
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {
            **{channel: _channel(channel, names, schemas) for channel, names in said.items()},
            _INBOX: _inbox(replies),
            _WEBSOCKET: _websocket(up, down),
        },
        "operations": {
            **{key: value for channel, names in said.items() for key, value in _operations(channel, names).items()},
            **_websocket_operations(up, down),
        },
        "components": {
            "messages": {name: sounds.get(name) or json_message(name, schemas[name]) for name in told},
            "schemas": {name: moved_schema(one, is_message=name in told) for name, one in sorted(schemas.items())},
        },
    }


def _info() -> Json:
    return {
        "title": "Antiphon",
        "version": version("antiphon"),
        "description": (
            "A realtime duplex voice system: what its processes say to each other over NATS, and what a client says "
            f"over a WebSocket. Messages are UTF-8 JSON of at most {MAX_MESSAGE_BYTES} bytes; unknown fields are "
            "ignored. docs/protocol.md tells what the messages mean."
        ),
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _servers() -> Json:
    return {
        _NATS: {"host": "localhost:4222", "protocol": "nats", "description": "The bus between the processes."},
        _WEBSOCKET: {
            "host": "localhost:8700",
            "protocol": "ws",
            "description": "A gateway, for clients. With an API key: `Authorization: Bearer KEY`, or `?key=KEY`.",
        },
    }


# --- channels --------------------------------------------------------------------------------------------------------
def _channel(channel: Channel, names: list[str], schemas: Json) -> Json:
    exchange, address = EXCHANGES[channel], addresses()[channel]
    return {
        "address": address,
        "title": f"{exchange.speaker} → {exchange.listener}",
        "description": exchange.what,
        "servers": [ref("servers", _NATS)],
        "messages": _listed(names),
        **_parameters(address, names, schemas),
    }


def _parameters(address: str, names: list[str], schemas: Json) -> Json:
    token = f"One token of the subject, `{TOKEN_PATTERN}`."
    known: dict[str, Json] = {
        "session": {"description": f"The session's id. {token}"},
        "worker": {"description": f"The worker's name. {token}"},
        "name": {
            "description": "The message's type.",
            "enum": [type_of(schemas[name]) for name in names if name in schemas],
            "location": "$message.payload#/type",
        },
    }
    found = {name: one for name, one in known.items() if f"{{{name}}}" in address}
    return {"parameters": found} if found else {}


def _inbox(replies: list[str]) -> Json:
    return {
        "address": None,
        "title": "whoever was asked → whoever asked",
        "description": "The reply subject that NATS carries beside each request.",
        "servers": [ref("servers", _NATS)],
        "messages": _listed(replies),
    }


def _websocket(up: list[str], down: list[str]) -> Json:
    return {
        "address": "/ws",
        "title": "client ↔ gateway",
        "description": "One connection, one session: messages as text, sound as binary, both in real time.",
        "servers": [ref("servers", _WEBSOCKET)],
        "messages": _listed(dict.fromkeys([*up, *down])),
    }


# --- operations ------------------------------------------------------------------------------------------------------
def _operations(channel: Channel, names: list[str]) -> Json:
    exchange = EXCHANGES[channel]
    bindings = {"bindings": {"nats": {"queue": exchange.queue}}} if exchange.queue else {}
    if not any(_answers(name) for name in names):
        return {channel: {**_operation("send", channel, names), "summary": exchange.what, **bindings}}
    return {
        f"{channel}-{name}": {**_operation("receive", channel, [name]), **_reply(name, _INBOX), **bindings}
        for name in names
    }


def _websocket_operations(up: list[str], down: list[str]) -> Json:
    answers = {answer for name in up for answer in _answers(name)}
    events = [name for name in down if name not in answers]
    asked = {
        f"{_WEBSOCKET}-{name}": {**_operation("receive", _WEBSOCKET, [name]), **_reply(name, _WEBSOCKET)} for name in up
    }
    return {**asked, f"{_WEBSOCKET}-down": _operation("send", _WEBSOCKET, events)}


def _operation(action: str, channel: str, names: list[str]) -> Json:
    return {"action": action, "channel": ref("channels", channel), "messages": _of_channel(channel, names)}


def _reply(name: str, channel: str) -> Json:
    answers = _answers(name)
    return (
        {"reply": {"channel": ref("channels", channel), "messages": _of_channel(channel, answers)}} if answers else {}
    )


def _answers(name: str) -> list[str]:
    return _ANSWERS.get(name, [])


# --- references ------------------------------------------------------------------------------------------------------
def _listed(names: Iterable[str]) -> Json:
    return {name: ref("components/messages", name) for name in names}


def _of_channel(channel: str, names: Iterable[str]) -> list[Json]:
    return [ref(f"channels/{channel}/messages", name) for name in names]


if __name__ == "__main__":
    sys.stdout.write(asyncapi_text())
