import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry.redis_document import announcement_of, read_event, token_of
from adapters.registry.redis_place import Key
from protocol.codec import encode_announcement
from protocol.errors import MalformedMessage
from protocol.ids import TOKEN_PATTERN, UnixMicros
from protocol.workers import Load
from tests.adapters.registry_stage import a_worker

REFERENCE = b"""{"name": "tts-cosyvoice2@0", "addr": "nats://tts-cosyvoice2-0",
 "capabilities": {"streaming": true, "zero_shot": true, "lora": false, "cpu_ok": false,
                  "languages": ["en", "zh"], "emotive_zero_prompt": true, "sample_rates": [48000]},
 "resident_models": ["cosyvoice2-en-base"], "models": ["cosyvoice2-en-base"],
 "metrics": {"rtf": 0.2, "queue_depth": 0, "p50_first_audio_ms": 180},
 "state": "ready", "sessions": 2, "capacity": 4}"""


def test_the_document_of_the_reference_is_a_worker_of_ours() -> None:
    worker = announcement_of(Key("tts", "tts-cosyvoice2@0"), REFERENCE)
    assert worker.name == "tts-cosyvoice2-0"
    assert worker.addr == "nats://tts-cosyvoice2-0"
    assert worker.kind == "tts"
    assert worker.models == worker.resident_models == ("cosyvoice2-en-base",)
    assert worker.metrics == Load(rtf=0.2, queue_depth=0, p50_first_audio_ms=180.0)
    assert worker.capabilities.languages == ("en", "zh")
    assert worker.capabilities.emotive_zero_prompt
    assert (worker.state, worker.sessions, worker.capacity) == ("ready", 2, 4)
    assert (worker.started_at, worker.pulse_ms, worker.via) == (0, 0, "")


def test_what_others_add_is_ignored_and_what_they_leave_out_has_its_default() -> None:
    document = (
        b'{"name": "w", "addr": "nats://w", "gpu": {"vram_mb": 8000}, "kind": "vocoder", "capabilities": {"x": 1}}'
    )
    assert announcement_of(Key("tts", "w"), document) == a_worker("w", models=())


def test_ours_comes_back_as_it_was_written() -> None:
    ours = a_worker("asr-whisper-0", kind="asr", started_at=UnixMicros(5), pulse_ms=200)
    assert announcement_of(Key("asr", ours.name), encode_announcement(ours)) == ours


def test_the_place_says_the_kind() -> None:
    assert announcement_of(Key("asr", "w"), b'{"name": "w", "addr": "nats://w"}').kind == "asr"


@pytest.mark.parametrize(
    ("name", "addr", "token"),
    [
        ("tts-cosyvoice2@0", "nats://tts-cosyvoice2-0", "tts-cosyvoice2-0"),
        ("tts-cosyvoice2@0", "nats://tts-cosyvoice2-0/", "tts-cosyvoice2-0"),
        ("tts-cosyvoice2@0", "nats://10.0.0.5:4222", "tts-cosyvoice2-0"),
        ("tts-cosyvoice2@0", "grpc://tts-cosyvoice2-0:50051", "tts-cosyvoice2-0"),
        ("TTS.Coqui/GPU 1", "", "tts-coqui-gpu-1"),
        ("worker>*", "nats://a.b", "worker--"),
        ("日本", "", "--"),
        ("x" * 200, "", "x" * 64),
    ],
)
def test_a_foreign_name_becomes_a_token(name: str, addr: str, token: str) -> None:
    assert token_of(name, addr) == token


@given(name=st.text(min_size=1), addr=st.text())
def test_whatever_the_name_it_becomes_one_token_of_a_subject(name: str, addr: str) -> None:
    assert re.fullmatch(TOKEN_PATTERN.strip("^$"), token_of(name, addr))


@given(data=st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        announcement_of(Key("tts", "w"), data)


@pytest.mark.parametrize("event", ["announce", "withdraw"])
def test_an_event_names_a_worker(event: str) -> None:
    assert read_event(b'{"event": "%s", "name": "w@0", "at": 3}' % event.encode()) == ("w@0", event == "withdraw")


LONG = b"w" * 201


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"3",
        3,
        b"{}",
        b'{"event": "announce"}',
        b'{"event": "announce", "name": ""}',
        b'{"event": [], "name": "w"}',
        b'{"event": "dance", "name": "w"}',
        b'{"event": "announce", "name": "%s"}' % LONG,
    ],
)
def test_an_event_that_names_nobody_is_malformed(data: object) -> None:
    with pytest.raises(MalformedMessage):
        read_event(data)
