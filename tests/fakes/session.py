"""A session that decides nothing: it keeps what it is told, and a test decides for it."""

from collections.abc import Callable

from actors.policies.playout import PlayoutGate
from actors.sessions.ports import Sound
from protocol.conversation import Accepted, CommandRefused, SessionClosed, SessionConfig
from protocol.errors import Refused
from protocol.hearing import VadEvent
from protocol.ids import SessionId, TurnId, WorkerName
from protocol.message import Message


class FakeSession:
    """Implements `actors.peer_ports.TurnTaking`.

    Attributes:
        calls: what the peer said, in order.
        on_event: called with each voice event before `on_vad` returns.
        refusal: what `start` raises, or `command` answers.
        speaker: whose frames are welcome.
    """

    speaker: WorkerName | None = None

    def __init__(
        self,
        *,
        session: SessionId,
        config: SessionConfig,
        gate: PlayoutGate,
        sound: Sound,
        emit: Callable[[Message], None],
    ) -> None:
        self.session = session
        self.sound = sound
        self.config = config
        self.gate = gate
        self.emit = emit
        self.calls: list[object] = []
        self.on_event: Callable[[VadEvent], None] = lambda _: None
        self.refusal: Refused | None = None
        self.closed: str | None = None

    async def start(self) -> None:
        self.calls.append("start")
        if self.refusal is not None:
            raise self.refusal

    def on_vad(self, event: VadEvent) -> None:
        self.calls.append(event)
        self.on_event(event)

    def on_first_frame(self, turn: TurnId) -> None:
        self.calls.append(("first", turn))

    def on_last_frame(self, turn: TurnId) -> None:
        self.calls.append(("last", turn))

    def on_stalled(self, turn: TurnId) -> None:
        self.calls.append(("stalled", turn))

    def on_playout(self) -> None:
        self.calls.append("playout")

    def command(self, message: Message) -> Message:
        self.calls.append(message)
        if self.refusal is not None:
            return CommandRefused(code=self.refusal.code, reason=self.refusal.reason, session=self.session)
        return Accepted(session=self.session)

    async def close(self, reason: str) -> None:
        if self.closed is None:
            self.closed = reason
            self.emit(SessionClosed(session=self.session, reason=reason))


class Sessions:
    """Makes them and keeps them, in the order in which they were made. Implements `actors.peer_ports.MakeSession`."""

    def __init__(self, *, refusal: Refused | None = None) -> None:
        self.made: list[FakeSession] = []
        self.refusal = refusal

    def __call__(
        self,
        *,
        session: SessionId,
        config: SessionConfig,
        gate: PlayoutGate,
        sound: Sound,
        emit: Callable[[Message], None],
    ) -> FakeSession:
        made = FakeSession(session=session, config=config, gate=gate, sound=sound, emit=emit)
        made.refusal = self.refusal
        self.made.append(made)
        return made

    @property
    def only(self) -> FakeSession:
        """The one that there is."""
        (session,) = self.made
        return session
