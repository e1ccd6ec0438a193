"""What a peer and its gateway need of the other actors, so that each can be tested without the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.policies.playout import PlayoutGate
from actors.sessions.ports import Sound
from protocol.conversation import SessionConfig
from protocol.hearing import VadEvent
from protocol.ids import Millis, Samples, SessionId, TurnId, WorkerName
from protocol.message import Message

Clock = Callable[[], float]
"""Seconds; monotonic where durations are meant, since the epoch where a date is meant."""
Cancel = Callable[[], None]
CallLater = Callable[[float, Callable[[], None]], Cancel]
"""Seconds from now, and what to call then on the loop; returns a way to call it off."""


class TurnTaking(Protocol):
    """A session's decisions (`actors.session.Session`)."""

    async def start(self) -> None:
        """Find workers. Raises `Refused` when there are none."""

    def on_vad(self, event: VadEvent) -> None:
        """Somebody speaks, or no longer does."""

    def on_first_frame(self, turn: TurnId) -> None:
        """A reply begins to sound."""

    def on_last_frame(self, turn: TurnId) -> None:
        """A reply has been handed over to its end."""

    def on_stalled(self, turn: TurnId) -> None:
        """The turn's sound has stopped coming, and soon there is none to play."""

    @property
    def speaker(self) -> WorkerName | None:
        """The worker whose frames are welcome; None: anybody's."""

    def on_playout(self) -> None:
        """The gate has changed, or 100 ms have been played."""

    def command(self, message: Message) -> Message:
        """Do what the client asks: `Accepted` or `CommandRefused`."""

    async def close(self, reason: str) -> None:
        """Stop the reply and release the workers."""


class MakeSession(Protocol):
    """Makes a session's turn-taking; all else that it needs is bound already."""

    def __call__(
        self,
        *,
        session: SessionId,
        config: SessionConfig,
        gate: PlayoutGate,
        sound: Sound,
        emit: Callable[[Message], None],
    ) -> TurnTaking:
        """One for this session."""


class Ears(Protocol):
    """Voice activity of all sessions (`actors.vad.Detector`)."""

    def open(
        self,
        session: SessionId,
        *,
        on_event: Callable[[VadEvent], None],
        on_failed: Callable[[str], None] = ...,
        threshold: float = ...,
        start_windows: int = ...,
        stop_ms: Millis = ...,
    ) -> None:
        """Listen from now on."""

    def hear(self, session: SessionId, position: Samples, pcm: bytes) -> None:
        """The next sound."""

    def close(self, session: SessionId) -> None:
        """Forget the session."""


class Choice(Protocol):
    """Who could serve a session now (`actors.router.Router`). Raises `Refused` when nobody can.

    `tentative`: it is only asked; no session is on its way there.
    """

    def choose_tts(self, *, voice: str | None, language: str, tentative: bool = ...) -> object:
        """A worker and a model."""

    def choose_asr(self, *, language: str, tentative: bool = ...) -> object:
        """A worker."""

    def voices(self) -> Sequence[str]:
        """The model ids to choose from, the default first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """What one client may ask of us.

    Attributes:
        commands_per_s: on average; `command_burst` at once.
        mic_lead_frames: microphone frames that may come at once, after a network that stalled, before any is dropped.
        position_wait_s: how long a client that came back has to say what it had heard, before playing goes on.
    """

    commands_per_s: float = 10.0
    command_burst: float = 30.0
    mic_lead_frames: float = 250.0
    position_wait_s: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class VadOptions:
    """When somebody counts as speaking (docs/turn-taking.md)."""

    threshold: float = 0.5
    start_windows: int = 2
    stop_ms: Millis = Millis(200)
