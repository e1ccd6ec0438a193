"""The entry of a session."""

import dataclasses
import json
from pathlib import Path

import pytest

from protocol.codec import decode_session, encode_session
from protocol.errors import MalformedMessage

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


def the_pages_example() -> bytes:
    return PAGE.read_text().partition("## The sessions")[2].partition("```json")[2].partition("```")[0].encode()


def test_the_example_in_the_documentation_is_an_entry_with_every_field() -> None:
    entry = decode_session(the_pages_example())
    assert set(json.loads(the_pages_example())) == {field.name for field in dataclasses.fields(entry)}
    assert json.loads(encode_session(entry)) == json.loads(the_pages_example())


@pytest.mark.parametrize(
    "spoilt",
    [{"session": "a.b"}, {"gateway": ""}, {"state": "SHOUTING"}, {"turn": -1}, {"history": -1}, {"tts_worker": "*"}],
)
def test_what_is_no_entry_is_refused(spoilt: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        decode_session(json.dumps({**json.loads(the_pages_example()), **spoilt}).encode())


def test_a_field_of_a_later_version_is_passed_over() -> None:
    later = json.dumps({**json.loads(the_pages_example()), "mood": "good"}).encode()
    assert decode_session(later) == decode_session(the_pages_example())
