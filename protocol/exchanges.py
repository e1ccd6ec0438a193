"""Who speaks to whom on each channel, and what answers what: documents are written from it, and replies decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol import conversation, hearing, routing, speaking, workers
from protocol.audio import Kind
from protocol.message import Message
from protocol.subjects import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a channel is for.

    Attributes:
        speaker: whoever publishes there.
        listener: whoever subscribes.
        what: is said, for people.
        carries: this kind of audio frames instead of messages.
        queue: the group of listeners of which one takes each message; empty where all of them do.
    """

    speaker: str
    listener: str
    what: str
    carries: Kind | None = None
    queue: str = ""


EXCHANGES: Final[Mapping[Channel, Exchange]] = {
    "session-command": Exchange(
        speaker="anybody with the right", listener="gateway", what="Speak, be silent, change, end."
    ),
    "session-event": Exchange(speaker="session", listener="observers", what="How the conversation goes."),
    "session-playout": Exchange(
        speaker="gateway",
        listener="TTS worker, observers",
        what="How far the client is: every 100 ms while something plays, and at each change.",
    ),
    "gate": Exchange(speaker="session", listener="observers", what="What the playout gate does."),
    "vad": Exchange(speaker="voice detector", listener="observers", what="When somebody speaks."),
    "asr-command": Exchange(speaker="session", listener="ASR worker", what="Listen, and write down what was said."),
    "asr-event": Exchange(speaker="ASR worker", listener="session", what="What was said."),
    "tts-command": Exchange(speaker="session", listener="TTS worker", what="The streaming interface of a voice."),
    "tts-event": Exchange(speaker="TTS worker", listener="session", what="How far the voice is."),
    "worker": Exchange(speaker="anybody with the right", listener="worker", what="What a worker can be asked to do."),
    "worker-event": Exchange(speaker="worker", listener="gateways", what="The worker's loop is alive."),
    "router": Exchange(
        speaker="anybody with the right",
        listener="a router (queue group)",
        what="Which worker shall serve this?",
        queue="routers",
    ),
    "mic-frames": Exchange(
        speaker="gateway", listener="ASR worker", what="What the user says: 20 ms a frame.", carries=Kind.MICROPHONE
    ),
    "tts-frames": Exchange(
        speaker="TTS worker", listener="gateway", what="What the voice says: 20 ms a frame.", carries=Kind.SPEECH
    ),
    "gateway-meta": Exchange(
        speaker="gateway", listener="observers", what="How the sound passes the gateway: once a second while it flows."
    ),
    "tts-meta": Exchange(
        speaker="TTS worker", listener="observers", what="How the voice leaves its worker: once a second while it does."
    ),
}

_TAKEN: Final = (conversation.Accepted, conversation.CommandRefused)
_DONE: Final = (workers.WorkerDescribed, workers.WorkerRefused)

ANSWERS: Final[Mapping[type[Message], tuple[type[Message], ...]]] = {
    conversation.OpenSession: (conversation.SessionOpened, conversation.CommandRefused),
    conversation.ResumeSession: (conversation.SessionOpened, conversation.CommandRefused),
    conversation.Say: _TAKEN,
    conversation.Interrupt: _TAKEN,
    conversation.Configure: _TAKEN,
    conversation.CloseSession: _TAKEN,
    conversation.ClientPlayout: (conversation.CommandRefused,),
    hearing.StartListening: _TAKEN,
    hearing.EndListening: (conversation.Accepted,),
    speaking.StartSpeaking: (speaking.SpeakingReady, speaking.SpeakingRefused),
    workers.GetCapabilities: (workers.WorkerDescribed,),
    workers.ListModels: (workers.ModelsListed, workers.WorkerDescribed),
    workers.LoadModel: _DONE,
    workers.UnloadModel: _DONE,
    workers.ReloadModel: _DONE,
    workers.Drain: (workers.WorkerDescribed,),
    routing.Route: (routing.Routed, routing.RouteRefused),
}
"""What may come back, to whoever asked for a reply; what is missing here is answered by events or not at all.

Of an ASR worker, which has one model, `ListModels` is answered by `WorkerDescribed`.
"""

REPLIES: Final[tuple[type[Message], ...]] = tuple(dict.fromkeys(kind for kinds in ANSWERS.values() for kind in kinds))
"""Each kind of answer once. Where two have the same `type` and fields, the first one is what is decoded."""
