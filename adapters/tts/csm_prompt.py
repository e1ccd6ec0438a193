"""What CSM is told before it speaks: who said what until now, how that sounded, and what to say next."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import soxr

from adapters.tts.xtts_text import spoken_pieces
from protocol.ports import Pcm, Reference

RATE: Final = 24_000
_COMMAND: Final = re.compile(r"<\|[^<>|]{0,40}\|>")
"""As in the vocabulary: `<|AUDIO|>`. Nobody who writes a text may give one."""
_LONGEST: Final = 250
"""Characters that are said in one go; the model was trained with utterances."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something that was said. Neither sound nor text is shown when it is printed.

    Attributes:
        speaker: a number, as in the training data; the same one has the same voice.
        pcm: mono, 24 kHz.
    """

    speaker: int
    text: str = field(repr=False)
    pcm: Pcm = field(repr=False)


class Context:
    """The last things that were said: no more than so many, and no longer than so many seconds together."""

    def __init__(self, *, turns: int, seconds: float, first: Sequence[Utterance] = ()) -> None:
        """`first` stays, and does not count: the recording whose voice is imitated."""
        self._first = tuple(first)
        self._said: deque[Utterance] = deque(maxlen=turns)
        self._samples = int(seconds * RATE)

    def add(self, utterance: Utterance) -> None:
        """It was said now."""
        self._said.append(utterance)
        while sum(len(said.pcm) for said in self._said) > self._samples:
            self._said.popleft()

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """In order."""
        return (*self._first, *self._said)


def pieces(text: str) -> Iterator[str]:
    """What of a phrase can be said, in pieces that the model can hold."""
    return spoken_pieces(_COMMAND.sub(" ", text).replace("|", " "), limit=_LONGEST)


def utterance_of(reference: Reference, speaker: int) -> Utterance:
    """A recording, as something that this speaker has said."""
    pcm = reference.pcm
    if reference.sample_rate != RATE:
        pcm = soxr.resample(pcm, reference.sample_rate, RATE)
    return Utterance(speaker, " ".join(pieces(reference.text)), np.ascontiguousarray(pcm, np.float32))


def prompt(processor: Any, said: Sequence[Utterance], text: str, *, speaker: int, device: Any) -> dict[str, Any]:
    """The model's input: by the chat template of its files, sound after each text that has one."""
    talk = [
        {"role": str(u.speaker), "content": [{"type": "text", "text": u.text}, {"type": "audio", "audio": u.pcm}]}
        for u in said
    ]
    talk.append({"role": str(speaker), "content": [{"type": "text", "text": text}]})
    written = processor.apply_chat_template(talk, tokenize=False)  # with `tokenize`, it would read sound from files
    made = processor(text=written, audio=[u.pcm for u in said] or None, add_special_tokens=False, return_tensors="pt")
    return {name: tensor.to(device) for name, tensor in made.items()}
