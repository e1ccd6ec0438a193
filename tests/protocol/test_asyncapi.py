import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from actors.settings import GatewaySettings
from protocol import codec
from protocol.asyncapi import asyncapi_text
from protocol.audio import HEADER, HEADER_BYTES, MIC_FRAME, SPEECH_FRAME
from protocol.exchanges import ANSWERS, EXCHANGES, REPLIES
from protocol.message import Message
from protocol.subjects import Channel, addresses, parse
from tests.protocol.strategies import CHANNELS, MESSAGES, messages

ROOT = Path(__file__).resolve().parents[2]
TEXT = asyncapi_text()
DOCUMENT: dict[str, Any] = json.loads(TEXT)
PAGE = (ROOT / "docs" / "protocol.md").read_text()
ALLOWED = {
    "channels": {"address", "title", "description", "servers", "messages", "parameters"},
    "operations": {"action", "channel", "messages", "reply", "summary", "bindings"},
    "components/messages": {"name", "title", "summary", "description", "contentType", "payload", "x-header", "x-bytes"},
    "servers": {"host", "protocol", "description"},
}
REQUIRED = {"channels": {"address", "messages"}, "operations": {"action", "channel"}, "servers": {"host", "protocol"}}

KINDS: list[type[Message]] = list(dict.fromkeys([*(kind for _, kind in MESSAGES), *ANSWERS, *REPLIES]))


def at(pointer: str) -> Any:
    found: Any = DOCUMENT
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(within: Any) -> list[str]:
    if isinstance(within, dict):
        own = [within["$ref"]] if isinstance(within.get("$ref"), str) else []
        return own + [one for value in within.values() for one in references(value)]
    return [one for value in within for one in references(value)] if isinstance(within, list) else []


def names(refs: list[dict[str, str]]) -> set[str]:
    return {one["$ref"].rpartition("/")[2] for one in refs}


@cache
def validator(kind: str) -> Draft7Validator:
    payload = at(f"components/messages/{kind}")["payload"]
    return Draft7Validator({"allOf": [payload], "components": DOCUMENT["components"]})


def union(adapter: Any) -> set[str]:
    return {kind.__name__ for kind in get_args(get_args(adapter._type)[0] if get_args(adapter._type) else ())}


def test_the_document_in_the_documentation_is_current() -> None:
    assert (ROOT / "docs" / "asyncapi.json").read_text() == TEXT, "run: just schema"


def test_the_module_prints_what_is_kept() -> None:
    command = [sys.executable, "-m", "protocol.asyncapi"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout == TEXT


def test_it_needs_no_other_document() -> None:
    found = references(DOCUMENT)
    assert len(found) > 200
    for one in found:
        assert one.startswith("#/")
        assert at(one) is not None


@pytest.mark.parametrize("where", ALLOWED)
def test_objects_have_the_fields_that_the_specification_gives_them(where: str) -> None:
    for name, one in at(where).items():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
        assert set(one) <= ALLOWED[where]
        assert set(one) >= REQUIRED.get(where, set())
    assert set(DOCUMENT) == {
        "asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"
    }  # fmt: skip
    assert DOCUMENT["asyncapi"] == "3.0.0"


def test_every_channel_stands_in_it_with_its_address() -> None:
    assert set(DOCUMENT["channels"]) == {*get_args(Channel), "inbox", "websocket"}
    assert set(addresses()) == set(get_args(Channel)) == set(EXCHANGES)
    for channel, address in addresses().items():
        described = DOCUMENT["channels"][channel]
        assert described["address"] == address
        assert set(re.findall(r"{(\w+)}", address)) == set(described["parameters"])
        assert parse(re.sub(r"{(\w+)}", "x", address)).channel == channel


def test_a_channel_carries_either_messages_or_frames() -> None:
    assert {channel for channel, one in EXCHANGES.items() if one.carries is None} == set(codec._UNIONS)


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_message_stands_on_its_channel(channel: Channel) -> None:
    described, kinds = DOCUMENT["channels"][channel], CHANNELS[channel]
    assert set(described["messages"]) == {kind.__name__ for kind in kinds}
    if "name" in described["parameters"]:
        types = [str(kind.__dataclass_fields__["type"].default) for kind in kinds]
        assert described["parameters"]["name"]["enum"] == types
        assert [at(f"components/messages/{kind.__name__}")["name"] for kind in kinds] == types


def test_every_message_of_a_channel_is_sent_or_received() -> None:
    for channel, described in DOCUMENT["channels"].items():
        pointer = f"#/channels/{channel}"
        done = [one for one in DOCUMENT["operations"].values() if one["channel"]["$ref"] == pointer]
        answered = [
            one["reply"] for one in DOCUMENT["operations"].values()
            if "reply" in one and one["reply"]["channel"]["$ref"] == pointer
        ]  # fmt: skip
        assert set().union(*(names(one["messages"]) for one in [*done, *answered])) == set(described["messages"])


def test_whoever_is_answered_is_answered_as_the_protocol_says() -> None:
    found = {
        next(iter(names(one["messages"]))): names(one["reply"]["messages"])
        for one in DOCUMENT["operations"].values()
        if "reply" in one
    }
    assert found == {asked.__name__: {kind.__name__ for kind in kinds} for asked, kinds in ANSWERS.items()}
    on_the_bus = {answer.__name__ for _, kind in MESSAGES for answer in ANSWERS.get(kind, ())}
    assert set(DOCUMENT["channels"]["inbox"]["messages"]) == on_the_bus


def test_what_a_client_says_and_hears_stands_in_it() -> None:
    expected = union(codec._CLIENT) | union(codec._SERVER) | {"MicrophonePcm", "SpeechFrame"}
    assert set(DOCUMENT["channels"]["websocket"]["messages"]) == expected
    assert len(expected) > 20


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(data=st.data())
def test_every_message_satisfies_its_payload_and_none_without_its_type(
    kind: type[Message], data: st.DataObject
) -> None:
    sent = json.loads(codec.encode(data.draw(messages(kind))))
    validator(kind.__name__).validate(sent)
    sent["type"] = "nonsense"
    assert not validator(kind.__name__).is_valid(sent)
    del sent["type"]
    assert not validator(kind.__name__).is_valid(sent)


def test_its_schemas_are_valid_schemas() -> None:
    for one in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(one)


def test_frames_are_as_long_as_they_are_on_the_wire() -> None:
    sizes = {"MicrophoneFrame": HEADER_BYTES + 2 * MIC_FRAME, "SpeechFrame": HEADER_BYTES + 2 * SPEECH_FRAME}
    for name, size in {**sizes, "MicrophonePcm": 2 * MIC_FRAME}.items():
        message = at(f"components/messages/{name}")
        assert (message["contentType"], message["x-bytes"]) == ("application/octet-stream", size)


def test_the_page_describes_the_header_as_it_is() -> None:
    header = at("components/messages/SpeechFrame")["x-header"]
    assert len(header) == len(HEADER)
    assert header[-1]["bytes"].endswith(f"-{HEADER_BYTES - 1}")
    for field in header:
        assert f"| {field['bytes']} | {field['name']} |" in PAGE


def test_it_names_the_port_and_the_path_that_the_gateway_has() -> None:
    websocket = DOCUMENT["servers"]["websocket"]
    assert websocket["host"] == f"localhost:{GatewaySettings().port}"
    assert f"## WebSocket `{at('channels/websocket/address')}`" in PAGE


def test_the_page_says_who_speaks_to_whom() -> None:
    rows = re.findall(r"^\| `((?:control|audio)\.[^`]*)`[^|]*\| ([^|]*) \|", PAGE, re.MULTILINE)
    told = {parse(re.sub(r"<\w+>", "x", subject)).channel: who for subject, who in rows}
    assert told == {channel: f"{one.speaker} → {one.listener}" for channel, one in EXCHANGES.items()}
