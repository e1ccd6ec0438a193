"""What stands under `components` of the AsyncAPI document: messages and schemas, written from the types."""

import json
from typing import Any, Final

from protocol.audio import FRAME_MS, HEADER_BYTES, MIC_FRAME, MIC_RATE, SAMPLES_OF_KIND, Kind, header_spans
from protocol.exchanges import Exchange

Json = dict[str, Any]

PCM: Final = "MicrophonePcm"
"""The name of what a client sends as binary: the microphone's sound without a header."""
_SOUND: Final = "application/octet-stream"


def json_message(name: str, schema: Json) -> Json:
    """The message whose payload is this schema."""
    return {
        "name": type_of(schema),
        "title": name,
        "summary": " ".join(schema.get("description", name).split("\n\n")[0].split()),
        "payload": ref("components/schemas", name),
    }


def binary_messages() -> dict[str, Json]:
    """Everything that is sound, by name."""
    pcm = f"One frame of the microphone without a header: {_sound(MIC_RATE)}."
    frames = {frame_name(kind): _frame(kind, samples) for kind, samples in SAMPLES_OF_KIND.items()}
    return {PCM: _binary(PCM, 2 * MIC_FRAME, pcm), **frames}


def _frame(kind: Kind, samples: int) -> Json:
    what = f"A header of {HEADER_BYTES} bytes in network order, then {_sound(samples * 1000 // FRAME_MS)}."
    spans = [
        {"name": field.name, "bytes": str(first) if first == last else f"{first}-{last}", "what": field.what}
        for field, first, last in header_spans()
    ]
    rows = [f"| {one['bytes']} | {one['name']} | {one['what']} |" for one in spans]
    table = "\n".join(["| bytes | field | |", "| --- | --- | --- |", *rows])
    return {**_binary(frame_name(kind), HEADER_BYTES + 2 * samples, what), "description": table, "x-header": spans}


def _sound(rate: int) -> str:
    return f"{FRAME_MS} ms of mono s16le PCM at {rate} Hz"


def _binary(name: str, size: int, summary: str) -> Json:
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "contentType": _SOUND,
        "payload": {"type": "string", "format": "binary", "description": f"{size} bytes."},
        "x-bytes": size,
    }


def frames_of(exchange: Exchange) -> list[str]:
    """The names of the frames that it carries."""
    return [] if exchange.carries is None else [frame_name(exchange.carries)]


def frame_name(kind: Kind) -> str:
    """What these frames are called."""
    return f"{kind.name.title()}Frame"


def moved_schema(schema: Json, *, is_message: bool) -> Json:
    """With references into this document. A message's `type` has a default in the code, and must be sent."""
    moved: Json = json.loads(json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/'))
    if is_message:
        moved["required"] = [*moved.get("required", []), "type"]
    return moved


def kinds_of(union: Json) -> list[str]:
    """The names of the kinds that a channel's schema allows."""
    return [one["$ref"].rpartition("/")[2] for one in union.get("oneOf") or union.get("anyOf") or [union]]


def type_of(schema: Json) -> str:
    """The `type` of a message of this schema."""
    return str(schema["properties"]["type"]["const"])


def ref(where: str, name: str) -> Json:
    """A reference to what stands there in the document."""
    return {"$ref": f"#/{where}/{name}"}
