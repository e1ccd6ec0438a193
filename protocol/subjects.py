"""The only place where subjects are built and parsed. Third stands the session, or the worker if it is about none."""

import re
from dataclasses import dataclass
from typing import Final, Literal, NewType

from protocol.errors import MalformedMessage
from protocol.ids import TOKEN_PATTERN, SessionId, WorkerName

Subject = NewType("Subject", str)

Channel = Literal[
    "session-command",
    "session-event",
    "session-playout",
    "gate",
    "vad",
    "asr-command",
    "asr-event",
    "tts-command",
    "tts-event",
    "worker",
    "worker-event",
    "router",
    "mic-frames",
    "tts-frames",
    "gateway-meta",
    "tts-meta",
]
"""It decides which messages are legal; `protocol.exchanges` tells who speaks to whom."""

MAX_SUBJECT: Final = 255
_TOKEN: Final = re.compile(TOKEN_PATTERN)
_PART: Final = re.compile(r"[a-z0-9_-]{1,64}")
_ANY: Final = "*"
ANY_SESSION: Final = SessionId(_ANY)
ANY_WORKER: Final = WorkerName(_ANY)


@dataclass(frozen=True, slots=True)
class Address:
    """What a subject says."""

    channel: Channel
    session: SessionId | None = None
    worker: WorkerName | None = None
    name: str = ""


def _id(token: str) -> str:
    if token != _ANY and not _TOKEN.fullmatch(token):
        raise ValueError(f"{token!r} is no id: one token of [a-z0-9-], at most 64 long")
    return token


def session_command(session: SessionId, name: str = _ANY) -> Subject:
    """Commands to a session."""
    return Subject(f"control.session.{_id(session)}.{name}")


def session_event(session: SessionId, name: str = _ANY) -> Subject:
    """Events of a session."""
    return Subject(f"control.session.{_id(session)}.event.{name}")


def session_playout(session: SessionId) -> Subject:
    """How far the client is."""
    return Subject(f"control.session.{_id(session)}.playout")


def gate(session: SessionId, name: str = _ANY) -> Subject:
    """What the playout gate does."""
    return Subject(f"control.gateway.{_id(session)}.{name}")


def vad(session: SessionId, name: str = _ANY) -> Subject:
    """Voice activity."""
    return Subject(f"control.vad.{_id(session)}.{name}")


def asr_command(session: SessionId, worker: WorkerName, name: str = _ANY) -> Subject:
    """Commands to an ASR worker, for a session."""
    return Subject(f"control.asr.{_id(session)}.{_id(worker)}.{name}")


def asr_event(session: SessionId, worker: WorkerName = ANY_WORKER, name: str = _ANY) -> Subject:
    """What an ASR worker tells a session."""
    return Subject(f"control.asr.{_id(session)}.{_id(worker)}.event.{name}")


def tts_command(session: SessionId, worker: WorkerName, name: str = _ANY) -> Subject:
    """Commands to a TTS worker, for a session."""
    return Subject(f"control.tts.{_id(session)}.{_id(worker)}.{name}")


def tts_event(session: SessionId, worker: WorkerName = ANY_WORKER, name: str = _ANY) -> Subject:
    """What a TTS worker tells a session."""
    return Subject(f"control.tts.{_id(session)}.{_id(worker)}.event.{name}")


def worker(name: WorkerName, verb: str = _ANY) -> Subject:
    """Commands to a worker, about no session."""
    return Subject(f"control.worker.{_id(name)}.{verb}")


def worker_event(name: WorkerName = ANY_WORKER, verb: str = _ANY) -> Subject:
    """What a worker tells everybody who counts on it."""
    return Subject(f"control.worker.{_id(name)}.event.{verb}")


def router(verb: str = _ANY) -> Subject:
    """Requests to any router."""
    return Subject(f"control.router.{verb}")


def mic_frames(session: SessionId) -> Subject:
    """A session's microphone."""
    return Subject(f"audio.frames.{_id(session)}.mic")


def tts_frames(session: SessionId, worker: WorkerName = ANY_WORKER) -> Subject:
    """A session's voice."""
    return Subject(f"audio.frames.{_id(session)}.tts.{_id(worker)}")


def gateway_meta(session: SessionId) -> Subject:
    """How a session's sound passes the gateway."""
    return Subject(f"audio.meta.{_id(session)}.gateway")


def tts_meta(session: SessionId, worker: WorkerName = ANY_WORKER) -> Subject:
    """How a session's voice leaves its worker."""
    return Subject(f"audio.meta.{_id(session)}.tts.{_id(worker)}")


def session_meta(session: SessionId) -> Subject:
    """All that is told of a session's sound, for observers who may not hear it."""
    return Subject(f"audio.meta.{_id(session)}.>")


def session_control(session: SessionId) -> Subject:
    """All that is said in and about a session, for observers."""
    return Subject(f"control.*.{_id(session)}.>")


# "" stands for any token; the longer and the more literal shapes come first.
_SHAPES: Final[tuple[tuple[tuple[str, ...], Channel], ...]] = (
    (("control", "session", "", "event", ""), "session-event"),
    (("control", "session", "", "playout"), "session-playout"),
    (("control", "session", "", ""), "session-command"),
    (("control", "gateway", "", ""), "gate"),
    (("control", "vad", "", ""), "vad"),
    (("control", "asr", "", "", "event", ""), "asr-event"),
    (("control", "asr", "", "", ""), "asr-command"),
    (("control", "tts", "", "", "event", ""), "tts-event"),
    (("control", "tts", "", "", ""), "tts-command"),
    (("control", "worker", "", "event", ""), "worker-event"),
    (("control", "worker", "", ""), "worker"),
    (("control", "router", ""), "router"),
    (("audio", "frames", "", "mic"), "mic-frames"),
    (("audio", "frames", "", "tts", ""), "tts-frames"),
    (("audio", "meta", "", "gateway"), "gateway-meta"),
    (("audio", "meta", "", "tts", ""), "tts-meta"),
)
_ONLY: Final[dict[Channel, str]] = {"gateway-meta": "gateway_measures", "tts-meta": "tts_measures"}
"""Where one type of message is told, the subject ends with who tells it."""
_WITH_WORKER: Final = frozenset({"asr-event", "asr-command", "tts-event", "tts-command"})


def _address(channel: Channel, tokens: list[str]) -> Address:
    if channel in ("worker", "worker-event"):
        return Address(channel, None, WorkerName(tokens[2]), tokens[-1])
    if channel == "router":
        return Address(channel, name=tokens[2])
    if tokens[0] == "audio":
        speaker = WorkerName(tokens[4]) if tokens[3] == "tts" else None
        return Address(channel, SessionId(tokens[2]), speaker, _ONLY.get(channel, ""))
    named = WorkerName(tokens[3]) if channel in _WITH_WORKER else None
    return Address(channel, SessionId(tokens[2]), named, tokens[-1])


def addresses() -> dict[Channel, str]:
    """Each channel's subject, with `{session}`, `{worker}` and `{name}` where those stand."""
    return {channel: _template(shape) for shape, channel in _SHAPES}


def _template(shape: tuple[str, ...]) -> str:
    """What `parse` reads from each open token tells what that token is."""
    probe = [token or f"open-{place}" for place, token in enumerate(shape)]
    read = parse(".".join(probe))
    named = {read.name: "{name}", read.worker: "{worker}", read.session: "{session}"}
    return ".".join(token or named[probe[place]] for place, token in enumerate(shape))


def parse(subject: str) -> Address:
    """What a received subject says.

    Raises:
        MalformedMessage: for a subject that is none of ours.
    """
    tokens = subject.split(".")
    if len(subject) > MAX_SUBJECT or not all(_PART.fullmatch(t) for t in tokens):
        raise MalformedMessage(f"not a subject of ours: {subject[:80]!r}")
    for shape, channel in _SHAPES:
        if len(shape) == len(tokens) and all(s in ("", t) for s, t in zip(shape, tokens, strict=True)):
            return _address(channel, tokens)
    raise MalformedMessage(f"not a subject of ours: {subject[:80]!r}")
