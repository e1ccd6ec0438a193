import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from protocol import codec
from protocol.message import Message
from protocol.schema import schema_text
from protocol.subjects import Channel
from tests.protocol.strategies import MESSAGES, messages

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads(schema_text())


@cache
def validator(channel: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMA["channels"][channel], "$defs": SCHEMA["$defs"]})


def test_the_schema_in_the_documentation_is_current() -> None:
    kept = (ROOT / "docs" / "protocol.schema.json").read_text()
    assert kept == schema_text(), "run: just schema"


def test_the_module_prints_what_is_kept() -> None:
    command = [sys.executable, "-m", "protocol.schema"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout == schema_text()


def test_it_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for channel in SCHEMA["channels"]:
        Draft202012Validator.check_schema(SCHEMA["channels"][channel])  # its $defs are those of the whole


def test_every_channel_stands_in_it() -> None:
    others = {"reply", "websocket-up", "websocket-down", "announcement", "session-entry"}
    assert set(SCHEMA["channels"]) == set(codec._ADAPTERS) | others


@pytest.mark.parametrize(("channel", "kind"), MESSAGES)
@settings(max_examples=10)
@given(data=st.data())
def test_every_message_satisfies_the_schema_of_its_channel(
    channel: Channel, kind: type[Message], data: st.DataObject
) -> None:
    sent = json.loads(codec.encode(data.draw(messages(kind))))
    validator(channel).validate(sent)


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("tts-command", {"type": "pause", "session": "s-1"}),
        ("tts-command", {"type": "pause", "session": "s.1", "turn": 1}),
        ("tts-command", {"type": "nonsense"}),
        ("websocket-up", {"type": "open", "config": {"voise": "x"}}),
        ("session-event", {"type": "state", "session": "s-1", "state": "SHOUTING"}),
    ],
)
def test_what_the_codec_refuses_the_schema_refuses(channel: str, message: dict[str, Any]) -> None:
    assert not validator(channel).is_valid(message)


def test_every_message_is_named_in_the_documentation() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text()
    for _, kind in MESSAGES:
        name = str(kind.__dataclass_fields__["type"].default)
        assert re.search(rf"`\.?{name}`", page), f"docs/protocol.md does not mention {name}"
