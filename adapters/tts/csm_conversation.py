"""What a CSM voice has said in one conversation, and speaking in sight of it."""

from collections.abc import Callable, Iterator, Sequence

from adapters.tts.csm_prompt import RATE, Utterance
from protocol.errors import SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import PcmChunk

Turn = tuple[Utterance, ...]


class Context:
    """The last turns: no more than so many, the present one among them, and no longer than so many seconds together."""

    def __init__(self, *, turns: int, seconds: float, first: Sequence[Utterance] = ()) -> None:
        """`first` stays, and does not count: the recording whose voice is imitated."""
        self._turns = turns
        self._samples = int(seconds * RATE)
        self._former: list[Turn] = []
        self._present: Turn = ()
        self.first = tuple(first)

    def add(self, *phrase: Utterance) -> None:
        """It was said now, in the present turn."""
        self._present = self.latest((*self._present, *phrase))

    def commit(self) -> None:
        """The present turn stays."""
        self._former, self._present = self._bounded([*self._former, self._present]), ()

    def retract(self) -> None:
        """The present turn was not said."""
        self._present = ()

    def said(self, phrase: Sequence[Utterance] = ()) -> Turn:
        """In order; `phrase` is what was said of the one that is being spoken."""
        return _flat(self._bounded([*self._former, (*self._present, *phrase)]))

    def latest(self, turn: Turn) -> Turn:
        """What of it could be remembered."""
        return _flat(self._bounded([turn]))

    def _bounded(self, turns: Sequence[Turn]) -> list[Turn]:
        room, kept = self._samples, []
        for turn in [turn for turn in reversed(turns) if turn][: self._turns]:
            fitting = []
            for utterance in reversed(turn):
                room -= len(utterance.pcm)
                if room >= 0:  # once it is not, it never is again
                    fitting.append(utterance)
            kept.append(tuple(reversed(fitting)))
        return kept[::-1]


class CsmConversation:
    """A voice that remembers what it has said: bounded, and nothing that was broken off; see `ConversingVoice`."""

    def __init__(self, model: ModelId, context: Context, speak: Callable[[str, Context], Iterator[PcmChunk]]) -> None:
        """`speak` adds to the context what it has said."""
        self._model = model
        self._context = context
        self._speak = speak
        self._is_closed = False

    @property
    def model(self) -> ModelId:
        """The voice's."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """24 kHz."""
        return RATE

    @property
    def context(self) -> Turn:
        """What the next phrase will be spoken after."""
        return (*self._context.first, *self._context.said())

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak the next phrase; see `CsmSynthesizer`. It depends on those before."""
        del language, speed
        if self._is_closed:
            raise SynthesisFailed("CSM: this conversation is closed")
        yield from self._speak(text, self._context)

    def commit(self) -> None:
        """The present turn was heard; see `ConversingVoice`."""
        self._context.commit()

    def retract(self) -> None:
        """The present turn was not heard; see `ConversingVoice`."""
        self._context.retract()

    def close(self) -> None:
        """Forget what was said; the voice stays."""
        self._context, self._is_closed = Context(turns=0, seconds=0), True


def _flat(turns: Sequence[Turn]) -> Turn:
    return tuple(utterance for turn in turns for utterance in turn)
