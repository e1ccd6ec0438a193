"""What a model has said to each session, if it is one that speaks better when it knows. On a TtsActor's thread."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from actors.tts_messages import Key
from protocol.ids import SessionId, TurnId
from protocol.ports import Conversant, ConversingVoice, Synthesizer
from protocol.speaking import ReferenceId

MOST: Final = 64
"""Sessions of one model that are remembered; some MB each, as its options bound it."""


@dataclass(slots=True)
class _Talk:
    """`turn` is the present one: it may still be stopped, even if all of it was made."""

    voice: ConversingVoice
    imitates: ReferenceId | None
    turn: TurnId | None = None


class Conversations:
    """One for each session, and anew when it has the model imitate somebody else.

    Beyond the bound the session that has said nothing for the longest time is forgotten, as if it had just come.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._talks: dict[SessionId, _Talk] = {}

    def __len__(self) -> int:
        return len(self._talks)

    def voice_for(
        self, key: Key, model: Synthesizer, imitates: ReferenceId | None, busy: Collection[Key]
    ) -> Synthesizer:
        """What speaks this turn: the model as it is, unless it can converse and there is room.

        Args:
            key: of a turn that begins.
            model: or what imitates `imitates` with it.
            imitates: whom.
            busy: turns that are being made: their sessions are not forgotten.
        """
        if not isinstance(model, Conversant):
            return model
        session, turn = key
        talk = self._talks.pop(session, None)
        if talk is not None and talk.imitates != imitates:
            talk.voice.close()
            talk = None
        if talk is None and not self._has_room(busy):
            return model
        talk = talk or _Talk(model.converse(), imitates)
        self._talks[session] = talk
        if talk.turn is not None:
            talk.voice.retract()  # nobody has said what became of it
        talk.turn = turn
        return talk.voice

    def settle(self, key: Key, *, heard: bool) -> None:
        """The turn is over: context for the next ones, if it was heard, else as if it had never been."""
        session, turn = key
        talk = self._talks.get(session)
        if talk is None or talk.turn != turn:
            return
        talk.turn = None
        if heard:
            talk.voice.commit()
        else:
            talk.voice.retract()

    def end(self, session: SessionId) -> None:
        """It speaks with this model no more; harmless when it never did."""
        if talk := self._talks.pop(session, None):
            talk.voice.close()

    def end_imitations(self, of: ReferenceId) -> None:
        """The recording is about to be forgotten."""
        for session in [session for session, talk in self._talks.items() if talk.imitates == of]:
            self.end(session)

    def close(self) -> None:
        """All of them."""
        for session in tuple(self._talks):
            self.end(session)

    def _has_room(self, busy: Collection[Key]) -> bool:
        if len(self._talks) < self._most:
            return True
        speaking = {session for session, _ in busy}
        silent = next((session for session in self._talks if session not in speaking), None)
        if silent is None:
            return False
        self.end(silent)
        return True
