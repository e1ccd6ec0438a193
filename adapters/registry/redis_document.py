"""What stands in Redis, whoever wrote it, as an announcement of ours. Pure."""

import re
from typing import Any, Final

import orjson

from adapters.registry.redis_place import MAX_NAME, Key
from protocol.codec import MAX_MESSAGE_BYTES, decode_announcement
from protocol.errors import MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement

_ADDRESS: Final = re.compile(r"nats://([a-z0-9-]{1,64})/?")
_NOT_ALLOWED: Final = re.compile(r"[^a-z0-9-]")
_LONGEST: Final = 64


def token_of(name: str, addr: str) -> WorkerName:
    """The token of a NATS subject that stands for a worker.

    The host of its address where that is one (`nats://tts-cosyvoice2-0`), because there it is spoken to; else its name
    with a dash for everything that a token may not hold (`tts-cosyvoice2@0`).
    """
    address = _ADDRESS.fullmatch(addr)
    return WorkerName(address.group(1) if address else _NOT_ALLOWED.sub("-", name.lower())[:_LONGEST])


def announcement_of(key: Key, data: bytes) -> Announcement:
    """The document of `key`, under the name by which its worker is reached.

    Others know nothing of `kind`: the place says it. What else they leave out has its default, what they add is
    ignored.

    Raises:
        MalformedMessage: it is no announcement, or somebody else's.
    """
    document = _object(data)
    name, addr = document.get("name"), document.get("addr")
    if name != key.name or not isinstance(addr, str):
        raise MalformedMessage("addr: missing" if name == key.name else "name: is not the one of its key")
    document["name"] = token_of(key.name, addr)
    document["kind"] = key.kind
    return decode_announcement(orjson.dumps(document))


def read_event(data: Any) -> tuple[str, bool]:
    """Whom an event on the channel is about, and whether it says goodbye.

    Raises:
        MalformedMessage: it is none, or names nobody.
    """
    event = _object(data) if isinstance(data, bytes) else {}
    what, name = event.get("event"), event.get("name")
    if what not in ("announce", "withdraw") or not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise MalformedMessage("an event that is none, or names nobody")
    return name, what == "withdraw"


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"more than {MAX_MESSAGE_BYTES} bytes")
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage("no JSON") from error
    if not isinstance(found, dict):
        raise MalformedMessage("no JSON object")
    return found
