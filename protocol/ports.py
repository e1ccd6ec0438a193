"""What the actors need from the world, and what the world may ask of them. Adapters implement these.

"On the loop" means: called on the process's one asyncio event loop and returns without waiting. "On a thread" means:
called on the actor's own thread and may compute.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from protocol.audio import Frame
from protocol.conversation import SessionConfig, SessionOpened
from protocol.ids import ModelId, Samples, SessionId, WorkerName
from protocol.message import Message
from protocol.services import Service
from protocol.speaking import ReferenceId
from protocol.subjects import Subject
from protocol.workers import Announcement, ModelStatus

Pcm = npt.NDArray[np.float32]
"""Mono samples, full scale at 1.0."""


# --- the bus ---------------------------------------------------------------------------------------------------------
Respond = Callable[[Message], None]
OnMessage = Callable[[Subject, Any, Respond | None], None]
"""Called on the loop with the subject, the decoded message (narrow it by `match`), and a way to reply if asked for."""
OnFrame = Callable[[Subject, Frame], None]


class Subscription(Protocol):
    """Ends when told to."""

    def cancel(self) -> None:
        """No call-back comes after this. On the loop; harmless when repeated."""


class Bus(Protocol):
    """Messages and frames by subject. Everything is called on the loop."""

    @property
    def is_connected(self) -> bool:
        """Whether what is published now has a chance to arrive."""

    def publish(self, subject: Subject, message: Message) -> None:
        """Send a message; a subject that ends in `*` gets the message's type in its place. Never waits.

        While the connection is down, control messages are kept for a bounded time and number.
        """

    def publish_frame(self, subject: Subject, frame: Frame) -> bool:
        """Send a frame, or drop it (False) when the connection is down or behind: old sound is worse than none."""

    async def subscribe(self, pattern: Subject, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each well-formed message, in order; malformed ones are counted and logged.

        Returns once the server knows of it.
        """

    async def subscribe_frames(self, pattern: Subject, on_frame: OnFrame, *, depth: int = 64) -> Subscription:
        """Call `on_frame` for each well-formed frame; when more than `depth` wait, the oldest are dropped."""

    async def request(self, subject: Subject, message: Message, *, timeout_s: float = 2.0) -> Any:
        """Send a message and return the decoded reply.

        Raises:
            BusUnavailable: nobody answered in time, or nobody listens.
        """

    async def offer(self, service: Service) -> Subscription:
        """Show a service to whoever looks for services on the bus, with counts of what its subjects were asked.

        What is answered there is up to `subscribe`; this only tells of it, until cancelled.
        """

    def on_reconnect(self, call_back: Callable[[], None]) -> None:
        """Call this on the loop each time the connection is back after it was lost."""

    async def close(self) -> None:
        """Send what is queued, within a second, and disconnect."""


# --- who works here --------------------------------------------------------------------------------------------------
class WorkerRegistry(Protocol):
    """Which workers live. The view is kept up to date in memory; reading it costs nothing."""

    async def announce(self, announcement: Announcement) -> None:
        """Say that this worker lives, now and by heartbeat until withdrawn. A later call replaces what is said."""

    async def withdraw(self, name: WorkerName) -> None:
        """Say that it ends."""

    async def watch(self, on_change: Callable[[WorkerName, Announcement | None], None]) -> None:
        """Keep the view up to date from now on and call this on the loop at each change (None: gone)."""

    def snapshot(self) -> Sequence[Announcement]:
        """Those alive now."""

    async def close(self) -> None:
        """Withdraw what was announced and stop watching."""


# --- hearing ---------------------------------------------------------------------------------------------------------
class VoiceActivityStream(Protocol):
    """One session's detector state. On a thread."""

    def probability(self, window: Pcm) -> float:
        """Of speech in the next 512 samples at 16 kHz."""


class VoiceActivityModel(Protocol):
    """A loaded detector that serves many sessions."""

    def open_stream(self) -> VoiceActivityStream:
        """State for one more session."""

    def probabilities(self, streams: Sequence[VoiceActivityStream], windows: Sequence[Pcm]) -> Sequence[float]:
        """Of speech in the next window of each of these streams, all in one inference: the same, but cheaper.

        The streams are this model's own and differ from each other. When it raises, no stream has moved on.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizedWord:
    """Times in seconds from the beginning of the audio."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What a recognizer made of some audio."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    words: tuple[RecognizedWord, ...] = ()


class SpeechRecognizer(Protocol):
    """A loaded ASR model. On a thread."""

    @property
    def model(self) -> ModelId:
        """Its name."""

    def transcribe(self, audio: Pcm, *, language: str, final: bool) -> Recognition:
        """The words in `audio` (16 kHz); `final` may spend more time than a partial one.

        Raises:
            RecognitionFailed: with the model's reason.
        """

    def close(self) -> None:
        """Give the memory back."""


# --- replying --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One entry of a conversation's history."""

    role: Literal["system", "user", "assistant"]
    content: str


class ReplyGenerator(Protocol):
    """Makes a reply's text. On the loop."""

    def reply(self, history: Sequence[ChatMessage]) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The reply to the last message, in deltas as they come; leaving the context cancels it at once.

        Raises:
            ReplyUnavailable: on failure or time-out, at any point.
        """

    async def close(self) -> None:
        """Drop its connections."""


# --- speaking --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class WordSpan:
    """A word within a phrase's audio, in samples at the model's rate.

    Words are the phrase's text split at white space, punctuation included, in order and without gaps in the list.
    """

    text: str
    first: Samples
    end: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmChunk:
    """The next piece of a phrase.

    Attributes:
        pcm: mono, at the model's rate.
        words: of the whole phrase, once the model can tell (usually with the first chunk); empty when it cannot.
    """

    pcm: Pcm
    words: tuple[WordSpan, ...] = ()


class Synthesizer(Protocol):
    """A loaded TTS model. On a thread; one phrase at a time for each generator, several generators may alternate."""

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""

    @property
    def sample_rate(self) -> int:
        """Of all its chunks, in Hz."""

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; not asking for the next chunk pauses it, `close()` on the iterator frees all it holds.

        Text without anything to speak gives no chunk. Lead-in and trailing silence of the model are trimmed to what a
        natural pause between phrases needs.

        Raises:
            SynthesisFailed: with the model's reason.
        """

    def close(self) -> None:
        """Give the memory back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A recording of a voice to imitate. Neither sound nor text is shown when it is printed or logged.

    Attributes:
        pcm: mono, 1 to 30 s.
        sample_rate: in Hz, 16 kHz or more.
        text: what is said in it, word for word.
    """

    pcm: Pcm = field(repr=False)
    sample_rate: int
    text: str = field(repr=False)

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.pcm) / self.sample_rate


@runtime_checkable
class Cloner(Protocol):
    """A loaded TTS model that can speak with the voice of a recording. On a thread."""

    def imitate(self, reference: Reference) -> Synthesizer:
        """The same model with this voice; closing it gives back what the voice takes, and leaves the model.

        Raises:
            SynthesisFailed: the recording is of no use to the model.
        """


class SpeechShaper(Protocol):
    """One turn's way from a model's chunks to frames: loudness, 48 kHz, 20 ms. On a thread."""

    def begin_phrase(self) -> None:
        """The next chunk is the first of a phrase."""

    def shape(self, pcm: Pcm) -> list[bytes]:
        """The frames (960 samples, s16le) that are complete now; the last one is held back until more comes."""

    def finish(self) -> list[bytes]:
        """The rest, filled up with silence: at least one frame, so that there is one to carry the LAST flag."""


Calibrate = Callable[[Synthesizer], Callable[[], SpeechShaper]]
"""Speaks a little with a freshly loaded model (its warm-up too) and returns what makes a shaper for each of its turns.

On a thread. Raises `SynthesisFailed`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """In MB: the process's resident memory, and what it takes on a GPU."""

    process_mb: float
    device_mb: float = 0.0


class MemoryMeter(Protocol):
    """How much memory this process holds. On any thread."""

    def used(self) -> MemoryUse:
        """Now."""

    def give_back(self) -> None:
        """Return to the system what was freed and is kept for later; may take some tens of milliseconds."""


# --- recordings of voices --------------------------------------------------------------------------------------------
class ReferenceStore(Protocol):
    """Where recordings are, for gateways and workers of all hosts. On the loop.

    All of it raises `BusUnavailable` when the store cannot be reached.
    """

    async def put(self, reference: Reference, *, kept: bool = False) -> ReferenceId:
        """Store it under a name that cannot be guessed; one that is not `kept` is gone after a day at the latest.

        Raises:
            Refused: `references-full`.
        """

    async def get(self, name: ReferenceId) -> Reference:
        """The recording.

        Raises:
            Refused: `no-such-reference`.
        """

    async def claim(self, name: ReferenceId, session: SessionId) -> None:
        """It belongs to this session from now on, and to no other; a kept one belongs to all.

        Raises:
            Refused: `no-such-reference`: there is none, or it is another session's.
        """

    async def release(self, name: ReferenceId, session: SessionId) -> None:
        """If it is this session's, it belongs to nobody again; harmless otherwise."""

    async def delete(self, name: ReferenceId, *, if_unclaimed: bool = False) -> bool:
        """Remove it, at once; False when it is not there, or claimed and that matters."""


class ReferenceDesk(Protocol):
    """The gateway, as those see it who bring recordings. On the loop."""

    @property
    def may_keep(self) -> bool:
        """Whether recordings may outlive their session."""

    async def add(self, reference: Reference, *, keep: bool) -> ReferenceId:
        """Take one in; it is removed when nobody names it for a while.

        Raises:
            Refused: `references-full`, or `not-ready` when it cannot be stored now.
        """

    async def remove(self, name: ReferenceId) -> bool:
        """Remove one; False when it is not there.

        Raises:
            Refused: `not-ready`.
        """


# --- clients ---------------------------------------------------------------------------------------------------------
class ClientLink(Protocol):
    """A connected client, as its conversation sees it. On the loop."""

    def tell(self, message: Message) -> None:
        """Send an event or a gate command; never waits. A client that does not read is disconnected."""

    def disconnect(self, reason: str) -> None:
        """End the connection."""


class Conversation(Protocol):
    """A session, as a transport sees it. On the loop."""

    @property
    def session(self) -> SessionId:
        """Its id."""

    def hear(self, pcm: bytes) -> None:
        """The next 20 ms of the microphone: 320 samples s16le at 16 kHz (640 bytes).

        Raises:
            MalformedMessage: for another length.
        """

    def pull(self) -> Frame | None:
        """The frame to send now, or None for silence. A transport calls it once per 20 ms on a steady clock."""

    def command(self, message: Message) -> Message:
        """Do what the client asks: returns `Accepted` or `CommandRefused`."""

    def detach(self, link: ClientLink) -> None:
        """The connection is lost; the session waits a while for `ConversationHost.resume`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a session could be opened and answered now, and what is missing if not."""

    ready: bool
    missing: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    sessions: int = 0
    max_sessions: int = 0


class ConversationHost(Protocol):
    """The gateway, as the transports see it. On the loop."""

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """A new session and the `SessionOpened` to send.

        Raises:
            Refused: too many sessions, no such voice, no worker.
        """

    async def resume(self, session: SessionId, token: str, link: ClientLink) -> tuple[Conversation, SessionOpened]:
        """Back to a session, with a new connection.

        Raises:
            Refused: no such session, or a wrong token.
        """

    def readiness(self) -> Readiness:
        """For `/readyz`."""


class GatewayConnection(Protocol):
    """A connection to a gateway, as a client's program sees it. On the loop."""

    async def hear(self, pcm: bytes) -> None:
        """Send the next 20 ms of the microphone (640 bytes); dropped when the connection is lost."""

    async def tell(self, message: Message) -> None:
        """Send a command; dropped when the connection is lost."""

    def received(self) -> AsyncIterator[Message | Frame]:
        """Events, gate commands and frames as they come; ends when the connection does."""

    async def close(self) -> None:
        """Hang up."""


# --- operating -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """A worker and its models, as last heard.

    Attributes:
        models: its default first; taken from the announcement while the worker itself has told nothing.
        answers: False once it left a question unanswered, as a mirrored worker may that is on another bus.
    """

    worker: Announcement
    models: tuple[ModelStatus, ...] = ()
    answers: bool = True


class WorkerFleet(Protocol):
    """All workers and their models, for operators. On the loop."""

    def workers(self) -> Sequence[WorkerView]:
        """Those alive now, by name."""

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        """Ask all of them for their models, but for those that told less than `max_age_s` ago; waits 2 s at most."""

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call this on the loop at each change, models' included, until the result is called."""

    async def load(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Make a model resident; returns once it is.

        Raises:
            Refused: `no-such-worker`, `no-answer`, or what the worker says.
        """

    async def unload(self, worker: WorkerName, model: ModelId) -> WorkerView:
        """Give a model's memory back. Raises like `load`; `model-in-use` while somebody speaks with it."""

    async def drain(self, worker: WorkerName) -> WorkerView:
        """Let it finish and end. Raises like `load`; returns once it has understood, not when it has ended."""
