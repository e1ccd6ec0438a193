from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import subjects
from protocol.errors import MalformedMessage
from protocol.ids import TOKEN_PATTERN, SessionId, WorkerName
from protocol.subjects import ANY_SESSION, ANY_WORKER, Address, Subject, parse

SESSIONS = st.from_regex(TOKEN_PATTERN, fullmatch=True).map(SessionId)
WORKERS = st.from_regex(TOKEN_PATTERN, fullmatch=True).map(WorkerName)
NAMES = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)
S, W = SessionId("s-1"), WorkerName("tts-hibari-0")


@given(SESSIONS, WORKERS, NAMES)
def test_every_subject_that_is_built_is_understood(session: SessionId, worker: WorkerName, name: str) -> None:
    assert parse(subjects.session_event(session, name)) == Address("session-event", session, None, name)
    assert parse(subjects.session_playout(session)) == Address("session-playout", session, None, "playout")
    assert parse(subjects.gate(session, name)) == Address("gate", session, None, name)
    assert parse(subjects.vad(session, name)) == Address("vad", session, None, name)
    assert parse(subjects.asr_command(session, worker, name)) == Address("asr-command", session, worker, name)
    assert parse(subjects.asr_event(session, worker, name)) == Address("asr-event", session, worker, name)
    assert parse(subjects.tts_command(session, worker, name)) == Address("tts-command", session, worker, name)
    assert parse(subjects.tts_event(session, worker, name)) == Address("tts-event", session, worker, name)
    assert parse(subjects.worker(worker, name)) == Address("worker", None, worker, name)
    assert parse(subjects.mic_frames(session)) == Address("mic-frames", session)
    assert parse(subjects.tts_frames(session, worker)) == Address("tts-frames", session, worker)
    assert parse(subjects.gateway_meta(session)) == Address("gateway-meta", session, None, "gateway_measures")
    assert parse(subjects.tts_meta(session, worker)) == Address("tts-meta", session, worker, "tts_measures")


@given(SESSIONS, NAMES.filter(lambda name: name != "playout"))
def test_a_command_is_understood(session: SessionId, name: str) -> None:
    assert parse(subjects.session_command(session, name)) == Address("session-command", session, None, name)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (subjects.session_command(S, "say"), "control.session.s-1.say"),
        (subjects.session_playout(S), "control.session.s-1.playout"),
        (subjects.session_event(S, "state"), "control.session.s-1.event.state"),
        (subjects.gate(S, "hold"), "control.gateway.s-1.hold"),
        (subjects.vad(S, "speech_started"), "control.vad.s-1.speech_started"),
        (subjects.asr_command(S, W, "transcribe"), "control.asr.s-1.tts-hibari-0.transcribe"),
        (subjects.asr_event(S, W, "final"), "control.asr.s-1.tts-hibari-0.event.final"),
        (subjects.tts_command(S, W, "pause"), "control.tts.s-1.tts-hibari-0.pause"),
        (subjects.tts_event(S, W, "paused"), "control.tts.s-1.tts-hibari-0.event.paused"),
        (subjects.worker(W, "list_models"), "control.worker.tts-hibari-0.list_models"),
        (subjects.mic_frames(S), "audio.frames.s-1.mic"),
        (subjects.tts_frames(S, W), "audio.frames.s-1.tts.tts-hibari-0"),
        (subjects.gateway_meta(S), "audio.meta.s-1.gateway"),
        (subjects.tts_meta(S, W), "audio.meta.s-1.tts.tts-hibari-0"),
        (subjects.session_meta(S), "audio.meta.s-1.>"),
        (subjects.session_control(S), "control.*.s-1.>"),
    ],
)
def test_subjects_are_as_documented(subject: Subject, expected: str) -> None:
    assert subject == expected


def test_patterns_leave_open_what_is_not_named() -> None:
    assert subjects.tts_event(S) == "control.tts.s-1.*.event.*"
    assert subjects.tts_frames(S) == "audio.frames.s-1.tts.*"
    assert subjects.session_control(ANY_SESSION) == "control.*.*.>"
    assert subjects.asr_event(ANY_SESSION, ANY_WORKER) == "control.asr.*.*.event.*"


BUILDERS: list[Callable[[SessionId], Subject]] = [
    subjects.session_command,
    subjects.session_event,
    subjects.session_playout,
    subjects.session_control,
    subjects.gate,
    subjects.vad,
    subjects.mic_frames,
    subjects.tts_frames,
    subjects.gateway_meta,
    subjects.tts_meta,
    subjects.session_meta,
    lambda session: subjects.tts_command(session, W),
    lambda session: subjects.tts_command(S, WorkerName(session)),
    lambda session: subjects.worker(WorkerName(session)),
]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("wrong", ["", "a.b", "a b", "A", ">", "a*", "s\n", "é", "x" * 65])
def test_what_is_no_id_builds_no_subject(build: Callable[[SessionId], Subject], wrong: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        build(SessionId(wrong))


@given(st.text(max_size=300) | st.lists(st.sampled_from(["control", "tts", "s", "*", ">", "event", ""])).map(".".join))
def test_no_subject_raises_anything_but_malformed_message(subject: str) -> None:
    try:
        address = parse(subject)
    except MalformedMessage:
        return
    assert subject.startswith(("control.", "audio."))
    assert address.channel


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "control",
        "control.tts.s-1",
        "control.session.*.say",
        "control.session.s-1.>",
        "control.session.s-1.event.state.more",
        "control.tts.s-1.w.event.",
        "audio.frames.s-1",
        "audio.frames.s-1.tts",
        "audio.frames.s-1.mic.more",
        "audio.meta.s-1",
        "audio.meta.s-1.tts",
        "audio.meta.s-1.asr.asr-whisper-0",
        "CONTROL.session.s-1.say",
        "control.session.s 1.say",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.abc",
        "control.session." + "x" * 65 + ".say",
    ],
)
def test_what_is_no_subject_of_ours_is_refused(subject: str) -> None:
    with pytest.raises(MalformedMessage):
        parse(subject)
