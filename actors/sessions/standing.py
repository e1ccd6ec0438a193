"""Where a session stands, for who looks at it from outside: told at each change, and only then. On the loop."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.history import History
from actors.policies.turn_taking import TurnTaking
from actors.sessions.ears import Ears
from actors.sessions.voice import Voice
from protocol.conversation import State
from protocol.ids import SessionId, TurnId, WorkerName


@dataclass(frozen=True, slots=True)
class Standing:
    """What changes of a session at its turns' boundaries.

    Attributes:
        turn: the newest reply that was begun.
        history: messages in its memory.
        tts_model: empty before the first.
    """

    state: State
    turn: TurnId
    history: int
    language: str
    tts_worker: WorkerName | None
    tts_model: str
    asr_worker: WorkerName | None


Note = Callable[[SessionId, Standing | None], None]
"""Called with where a session stands; None: it is over. Must not fail."""


def ignore(_session: SessionId, _standing: Standing | None) -> None:
    """Nobody looks."""


class Standings:
    """Looks when it is told to: comparing costs a microsecond, and nothing is said while nothing has changed."""

    def __init__(
        self, session: SessionId, note: Note, *, turns: TurnTaking, voice: Voice, ears: Ears, history: History
    ) -> None:
        self._session = session
        self._turns = turns
        self._voice = voice
        self._ears = ears
        self._history = history
        self._note = note
        self._turn = TurnId(0)
        self._told: Standing | None = None
        self._begun = self._ended = False

    def begin(self) -> None:
        """The session is open, unless it was closed before it had found its workers."""
        self._begun = not self._ended
        self.look()

    def look(self) -> None:
        """Something has happened."""
        if not self._begun:
            return
        self._turn = self._turns.turn or self._turn
        now = Standing(
            self._turns.state,
            self._turn,
            len(self._history),
            self._ears.language,
            self._voice.worker,
            self._voice.model,
            self._ears.worker,
        )
        if now != self._told:
            self._told = now
            self._note(self._session, now)

    def end(self) -> None:
        """The session closes."""
        was_told, self._begun, self._ended = self._begun, False, True
        if was_told:
            self._note(self._session, None)
