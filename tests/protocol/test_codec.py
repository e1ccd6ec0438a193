import json
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec, subjects
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CommandRefused,
    Heard,
    OpenSession,
    ResumeSession,
    Say,
    SessionConfig,
    SessionOpened,
    StateChanged,
)
from protocol.directory import SessionEntry
from protocol.errors import MalformedMessage
from protocol.ids import ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.speaking import Pause, Resume, SpeakingReady, StartSpeaking
from protocol.subjects import Channel, Subject
from protocol.workers import Announcement, GetCapabilities, LoadModel, WorkerDescribed
from tests.protocol.strategies import CHANNELS, JSON, MESSAGES, messages

SESSION = SessionId("s-1")
WORKER = WorkerName("tts-hibari-0")
BASES: dict[Channel, Subject] = {
    "session-command": subjects.session_command(SESSION),
    "session-event": subjects.session_event(SESSION),
    "session-playout": subjects.session_playout(SESSION),
    "gate": subjects.gate(SESSION),
    "vad": subjects.vad(SESSION),
    "asr-command": subjects.asr_command(SESSION, WORKER),
    "asr-event": subjects.asr_event(SESSION, WORKER),
    "tts-command": subjects.tts_command(SESSION, WORKER),
    "tts-event": subjects.tts_event(SESSION, WORKER),
    "worker": subjects.worker(WORKER),
    "worker-event": subjects.worker_event(WORKER),
    "router": subjects.router(),
    "gateway-meta": subjects.gateway_meta(SESSION),
    "tts-meta": subjects.tts_meta(SESSION, WORKER),
}


def subject_of(channel: Channel, kind: type[Message]) -> Subject:
    base = BASES[channel]
    return Subject(base.removesuffix("*") + name_of(kind)) if base.endswith("*") else base


def name_of(kind: type[Message]) -> str:
    return str(kind.__dataclass_fields__["type"].default)


def for_session(kind: type[Message]) -> dict[str, Any]:
    return {"session": SESSION} if "session" in kind.__dataclass_fields__ else {}


def test_every_kind_of_message_has_a_subject_and_every_subject_its_kinds() -> None:
    assert set(BASES) == set(CHANNELS)
    kinds = [kind for _, kind in MESSAGES]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize(("channel", "kind"), MESSAGES)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_sent_is_what_arrives(channel: Channel, kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind, **for_session(kind)))
    assert codec.decode(subject_of(channel, kind), codec.encode(message)) == message


@given(data=st.data())
def test_replies_travel_too(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([SessionOpened, Accepted, CommandRefused, SpeakingReady, WorkerDescribed]))
    message = data.draw(messages(kind))
    decoded = codec.decode_reply(codec.encode(message))
    assert codec.encode(decoded) == codec.encode(message)


@given(data=st.data())
def test_clients_and_servers_understand_each_other(data: st.DataObject) -> None:
    up = data.draw(st.sampled_from([OpenSession, ResumeSession, Say, ClientPlayout]).flatmap(messages))
    assert codec.decode_client(codec.encode(up)) == up
    assert codec.decode_client(codec.encode(up).decode()) == up
    down = data.draw(st.sampled_from([SessionOpened, StateChanged, Heard]).flatmap(messages))
    assert codec.decode_server(codec.encode(down)) == down


@given(messages(Announcement))
def test_announcements_travel_too(announcement: Announcement) -> None:
    assert codec.decode_announcement(codec.encode_announcement(announcement)) == announcement


@given(messages(SessionEntry))
def test_entries_of_sessions_travel_too(entry: SessionEntry) -> None:
    assert codec.decode_session(codec.encode_session(entry)) == entry


DECODERS: list[Callable[[Any], Any]] = [
    codec.decode_reply,
    codec.decode_client,
    codec.decode_server,
    codec.decode_announcement,
    codec.decode_session,
    *(partial(codec.decode, subject_of(channel, kind)) for channel, kind in MESSAGES),
]


@given(decoder=st.sampled_from(DECODERS), data=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_malformed_message(decoder: Callable[[Any], Any], data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decoder(data)


@given(data=st.text(st.characters(), max_size=100))
def test_no_text_raises_anything_but_malformed_message(data: str) -> None:
    for decoder in (codec.decode_client, codec.decode_server):
        with pytest.raises(MalformedMessage):
            decoder(data)


@given(decoder=st.sampled_from(DECODERS), value=JSON)
def test_no_json_raises_anything_but_malformed_message(decoder: Callable[[Any], Any], value: Any) -> None:
    refused_or_whole(decoder, json.dumps(value).encode())


@given(data=st.data())
def test_a_message_with_any_of_its_fields_spoilt_is_refused_or_whole(data: st.DataObject) -> None:
    channel, kind = data.draw(st.sampled_from(MESSAGES))
    fields = orjson.loads(codec.encode(data.draw(messages(kind, **for_session(kind)))))
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        fields[name] = data.draw(JSON)
    spoilt = json.dumps(fields).encode()
    refused_or_whole(lambda given: codec.decode(subject_of(channel, kind), given), spoilt)


@given(data=st.data())
def test_a_message_with_any_byte_spoilt_is_refused_or_whole(data: st.DataObject) -> None:
    channel, kind = data.draw(st.sampled_from(MESSAGES))
    spoilt = bytearray(codec.encode(data.draw(messages(kind, **for_session(kind)))))
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    refused_or_whole(lambda given: codec.decode(subject_of(channel, kind), given), bytes(spoilt))


def refused_or_whole(decoder: Callable[[Any], Any], data: bytes) -> None:
    """What is accepted can be sent on and is the same again."""
    try:
        message = decoder(data)
    except MalformedMessage:
        return
    if isinstance(message, Announcement):
        assert codec.decode_announcement(codec.encode_announcement(message)) == message
        return
    if isinstance(message, SessionEntry):
        assert codec.decode_session(codec.encode_session(message)) == message
        return
    again = decoder(codec.encode(message))
    assert codec.encode(again) == codec.encode(message)


@given(subject=st.text(max_size=80), data=st.binary(max_size=20))
def test_no_subject_raises_anything_but_malformed_message(subject: str, data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode(subject, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"pause"',
        b'{"type":"pause"}',
        b'{"type":"nonsense","session":"s-1","turn":1}',
        b'{"type":"pause","session":"s-1"}',
        b'{"type":"pause","session":"s-1","turn":"1"}',
        b'{"type":"pause","session":"s-1","turn":1.5}',
        b'{"type":"pause","session":"s-1","turn":true}',
        b'{"type":"pause","session":"s-1","turn":-1}',
        b'{"type":"pause","session":"s-1","turn":4294967296}',
        b'{"type":"pause","session":"s-1","turn":NaN}',
        b'{"type":"pause","session":"s.1","turn":1}',
        b'{"type":"pause","session":"*","turn":1}',
        b'{"type":"pause","session":"s-1\\n","turn":1}',
        b'{"type":"pause","session":"s-1","turn":1,"sent_at":-1}',
        b'{"type":"pause","session":"s-1","turn":1}{}',
        b'\xff\xfe{"type":"pause"}',
        b"[" * 50_000,
        b'{"type":"pause","session":"s-1","turn":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_pause_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode("control.tts.s-1.tts-hibari-0.pause", data)


def test_unknown_fields_are_passed_over_so_that_two_versions_can_speak() -> None:
    data = b'{"type":"pause","session":"s-1","turn":3,"why":"a newer version says so"}'
    assert codec.decode("control.tts.s-1.w.pause", data) == Pause(session=SESSION, turn=TurnId(3))


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="voise"):
        codec.decode_client('{"type":"open","config":{"voise":"hibari-heart"}}')


@pytest.mark.parametrize("config", ['{"speed":"fast"}', '{"speed":NaN}', '{"end_of_turn_ms":199}', '{"voice":"A b"}'])
def test_an_option_out_of_bounds_is_refused(config: str) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_client(f'{{"type":"open","config":{config}}}')


def test_a_message_on_a_subject_of_another_type_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="subject"):
        codec.decode("control.tts.s-1.w.stop", codec.encode(Pause(session=SESSION, turn=TurnId(1))))


def test_a_message_of_another_session_than_its_subject_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="another session"):
        codec.decode("control.tts.s-2.w.pause", codec.encode(Pause(session=SESSION, turn=TurnId(1))))


def test_a_command_on_an_event_subject_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        codec.decode("control.tts.s-1.w.event.pause", codec.encode(Pause(session=SESSION, turn=TurnId(1))))


def test_frames_are_no_messages() -> None:
    with pytest.raises(MalformedMessage, match="audio"):
        codec.decode("audio.frames.s-1.mic", b"{}")


def test_an_error_names_the_field_and_never_what_stood_in_it() -> None:
    with pytest.raises(MalformedMessage) as caught:
        codec.decode_client('{"type":"say","text":["my secret words"]}')
    assert "text" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_too_large_a_message_is_neither_sent_nor_read() -> None:
    heard = Heard(
        session=SESSION, turn=TurnId(1), heard="\U0001f600" * 16_000, unheard="", interrupted=False, exact=True
    )
    with pytest.raises(MalformedMessage, match="over the limit"):
        codec.encode(heard)
    with pytest.raises(MalformedMessage, match="over the limit"):
        codec.decode_client(" " * (codec.MAX_MESSAGE_BYTES + 1))


def test_a_message_is_readable_json_with_its_type_and_the_time_it_left() -> None:
    resume = Resume(session=SESSION, turn=TurnId(2), from_sample=Samples(960))
    fields = json.loads(codec.encode(resume, sent_at=UnixMicros(5)))
    assert fields == {
        "type": "resume", "session": "s-1", "turn": 2, "from_sample": 960, "sent_at": 5, "trace": None,
    }  # fmt: skip


def test_the_two_refusals_are_told_apart_where_they_belong() -> None:
    refused = CommandRefused(code="too-many-sessions", reason="All are taken.")
    assert codec.decode_server(codec.encode(refused)) == refused


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        (StartSpeaking(session=SESSION, model=ModelId("piper-joe")), "control.tts.s-1.tts-hibari-0.start"),
        (LoadModel(model=ModelId("piper-joe")), "control.worker.tts-hibari-0.load_model"),
        (GetCapabilities(), "control.worker.tts-hibari-0.capabilities"),
        (Say(text="Hello.", session=SESSION), "control.session.s-1.say"),
        (StateChanged(session=SESSION, state="SPEAKING"), "control.session.s-1.event.state"),
    ],
)
def test_a_subject_ends_in_its_messages_type(message: Message, subject: str) -> None:
    channel = next(channel for channel, kind in MESSAGES if kind is type(message))
    assert codec.subject_for(BASES[channel], message) == subject
    assert codec.decode(subject, codec.encode(message)) == message


def test_a_configuration_that_chooses_nothing_changes_nothing() -> None:
    opened = codec.decode_client('{"type":"open"}')
    assert opened == OpenSession(config=SessionConfig())
