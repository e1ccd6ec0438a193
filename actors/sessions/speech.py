"""One reply's text: as it was handed to the voice, where it stands in the audio, and what was heard of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from actors.policies.heard import HeardText, Phrase, heard_text
from protocol.ids import Samples, SessionId, TurnId
from protocol.speaking import PhrasePlaced, TextChunk

if TYPE_CHECKING:
    from actors.reply import ReplyHandle

MAX_CHARACTERS: Final = 60_000
"""Of one turn: about an hour of speech."""
MAX_UNSPOKEN: Final = 12_000
"""Of one turn, handed to the voice and not begun: below what a worker takes."""


class Speech:
    """Lives from the first word asked for until the turn is settled.

    Attributes:
        turn: its number; a new one when it goes on at another worker.
        origin: a reply to the user, or a text that was asked for.
        adopted: False for a prepared reply, of which nobody is told yet.
        complete: whether its last text was handed over.
        handle: the language model at work, if it is.
        recoveries: how often it had to go on at a restarted worker.
        soundless: the voice found nothing in it to speak.
    """

    def __init__(self, turn: TurnId, *, origin: Literal["reply", "say"], adopted: bool = True) -> None:
        self.turn = turn
        self.origin = origin
        self.adopted = adopted
        self.complete = False
        self.handle: ReplyHandle | None = None
        self.recoveries = 0
        self.soundless = False
        self._phrases: list[Phrase] = []

    @property
    def text(self) -> str:
        """All of it so far."""
        return heard_text(self._phrases, Samples(0)).unheard

    @property
    def pieces(self) -> Iterable[tuple[str, bool]]:
        """What was handed over, each with whether it was the last."""
        final = len(self._phrases) - 1
        return [(phrase.text, self.complete and i == final) for i, phrase in enumerate(self._phrases)]

    @property
    def unspoken_characters(self) -> int:
        """How much the voice has not begun with."""
        return sum(len(phrase.text) for phrase in self._phrases if phrase.first is None)

    @property
    def characters(self) -> int:
        """Its length."""
        return sum(len(phrase.text) for phrase in self._phrases)

    def add(self, session: SessionId, text: str, *, last: bool) -> TextChunk:
        """The next piece, as the voice gets it."""
        chunk = TextChunk(session=session, turn=self.turn, index=len(self._phrases), text=text, last=last)
        self._phrases.append(Phrase(text=text))
        self.complete = last
        return chunk

    def place(self, placed: PhrasePlaced) -> None:
        """The voice says where a piece stands."""
        if placed.turn != self.turn or placed.index >= len(self._phrases):
            return
        self._phrases[placed.index] = replace(
            self._phrases[placed.index],
            first=placed.first,
            end=placed.end,
            words=placed.words,
            exact=placed.exact,
        )

    def heard(self, played: Samples) -> HeardText:
        """Its text, split where the listener's knowledge of it ends."""
        return heard_text(self._phrases, played)

    def begin_again(self, turn: TurnId) -> None:
        """Under a new number, with no text yet."""
        self.turn = turn
        self.complete = False
        self.soundless = False
        self._phrases = []

    def cancel(self) -> None:
        """No more text is wanted."""
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
