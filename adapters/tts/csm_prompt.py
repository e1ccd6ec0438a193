"""What CSM is told before it speaks: who said what until now, how that sounded, and what to say next."""

import re
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


def pieces(text: str) -> Iterator[str]:
    """What of a phrase can be said, in pieces that the model can hold."""
    return spoken_pieces(_COMMAND.sub(" ", text).replace("|", " "), limit=_LONGEST)


def utterance_of(reference: Reference, speaker: int) -> Utterance:
    """A recording, as something that this speaker has said."""
    pcm = reference.pcm
    if reference.sample_rate != RATE:
        pcm = soxr.resample(pcm, reference.sample_rate, RATE)
    return Utterance(speaker, " ".join(pieces(reference.text)), np.ascontiguousarray(pcm, np.float32))


def prompt_within(
    room: int,
    processor: Any,
    said: Sequence[Utterance],
    text: str,
    *,
    first: Sequence[Utterance],
    speaker: int,
    device: Any,
) -> dict[str, Any]:
    """As `prompt`, of `first` and as much of what was `said`, the latest, as the model has `room` (positions) for."""
    for begin in range(len(said) + 1):
        told = prompt(processor, (*first, *said[begin:]), text, speaker=speaker, device=device)
        if told["input_ids"].shape[1] <= room:
            break
    return told


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
