"""Whom CosyVoice sounds like, and how: what its networks need to know of a recording."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import numpy as np
import soundfile
import soxr
import torch

from adapters.tts.cosyvoice_files import LoadedCosyVoice
from adapters.tts.ranges import phase
from adapters.tts.text import speakable
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import Reference

Mode = Literal["zero_shot", "cross_lingual", "instruct"]
TextIn = Literal["phrase", "stream"]
_HEARD_AT: Final = 16_000
_LONGEST_S: Final = 30
_QUIETEST: Final = 1e-4
"""Of full scale: nothing louder than -80 dBFS is no recording of a voice."""
_END_OF_PROMPT: Final = "<|endofprompt|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class CosyVoiceOptions:
    """What a pack may say of how it speaks.

    Attributes:
        mode: `zero_shot` goes on where the recording ends, with its text; `cross_lingual` takes its sound only, for a
            recording in another language; `instruct` does what `instruction` says (`in a whisper`).
        text_in: `phrase` speaks each piece of a reply as an utterance of its own, `stream` begins a sentence before it
            knows the rest of it.
        repo: a checkout of CosyVoice.
    """

    mode: Mode = "zero_shot"
    text_in: TextIn = "phrase"
    instruction: str = ""
    repo: str | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """From a pack's.

        Raises:
            ModelUnavailable: one has a value that it cannot have.
        """
        for name, value in options.items():
            if not isinstance(value, str) or not value.strip():
                raise ModelUnavailable(f"options: {name}: a text is wanted")
        read = cls(**options)
        for name, chosen, known in (("mode", read.mode, Mode), ("text_in", read.text_in, TextIn)):
            if chosen not in get_args(known):
                raise ModelUnavailable(f"options: {name}: {' or '.join(get_args(known))} is wanted")
        if bool(read.instruction) != (read.mode == "instruct"):
            raise ModelUnavailable("options: instruction: wanted with the mode instruct, and only there")
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class CosyVoiceVoice:
    """Tensors on the model's device.

    Attributes:
        text, said: what the language model takes as already spoken: text [1, n] and speech tokens [1, m].
        heard, mel: what the flow goes on from: speech tokens [1, k] and the mel spectrogram [1, 2 k, 80].
        speaker: [1, 192].
    """

    text: Any
    said: Any
    heard: Any
    mel: Any
    speaker: Any


def sayable(text: str) -> str:
    """`text` without what the model would take for a command: `<|endofprompt|>`."""
    return speakable(text.replace("<|", " ").replace("|>", " "))


def read_seed(path: Path, text: str) -> Reference:
    """A pack's recording.

    The library's own `load_wav` needs torchcodec, which needs FFmpeg's libraries: sound is read without them here.
    """
    sound, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return Reference(pcm=sound.mean(axis=1), sample_rate=int(rate), text=text)


def learn_voice(loaded: LoadedCosyVoice, reference: Reference, options: CosyVoiceOptions) -> CosyVoiceVoice:
    """What there is to know of a recording; 0.1 s of computing and more.

    The flow hears its end only, in whole blocks: its first chunk has then not to fill up a block that the recording
    has begun, and comes up to a second of sound sooner.

    Raises:
        SynthesisFailed: nothing can be heard in it, or it is too long.
    """
    if not np.isfinite(reference.pcm).all() or not np.any(np.abs(reference.pcm) > _QUIETEST):
        raise SynthesisFailed("CosyVoice: nothing can be heard in the recording")
    if reference.seconds > _LONGEST_S:
        raise SynthesisFailed(f"CosyVoice: the recording takes {reference.seconds:.0f} s; {_LONGEST_S} s at most")
    with torch.inference_mode(), phase("cosyvoice.clone"):
        known = _known_of(loaded, reference)
        tokens, mel = known["flow_prompt_speech_token"], known["prompt_speech_feat"]
        kept = tokens.shape[1] // loaded.block * loaded.block or tokens.shape[1]
        nothing = torch.zeros(1, 0, dtype=torch.int32, device=loaded.device)
        text = known["prompt_text"] if options.mode == "zero_shot" else nothing
        if options.mode == "instruct":
            text, _ = loaded.frontend._extract_text_token(options.instruction + _END_OF_PROMPT)  # noqa: SLF001  # as its own modes do
        return CosyVoiceVoice(
            text=text,
            said=tokens if options.mode == "zero_shot" else nothing,
            heard=tokens[:, -kept:],
            mel=mel[:, -2 * kept :],
            speaker=known["flow_embedding"],
        )


def _known_of(loaded: LoadedCosyVoice, reference: Reference) -> Mapping[str, Any]:
    frontend, module = loaded.frontend, loaded.code.frontend

    def sound_at(rate: int) -> Any:
        pcm = np.clip(reference.pcm, -1.0, 1.0)
        if reference.sample_rate != rate:
            pcm = soxr.resample(pcm, reference.sample_rate, rate)
        return torch.from_numpy(np.ascontiguousarray(pcm, np.float32))[None]

    heard: Any = sound_at(_HEARD_AT)
    if hasattr(module, "load_wav"):  # since 2025 the frontend reads a file itself, once at each rate
        module.load_wav = lambda wav, target_sr, *_, **__: wav(target_sr)
        heard = sound_at
    found: Mapping[str, Any] = frontend.frontend_zero_shot("", sayable(reference.text), heard, loaded.rate, "")
    return found
