"""Sesame CSM-1B (transformers), and LoRA adapters of it: English, 24 kHz, in the course of a conversation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch

from adapters.tts.csm_base import CsmBase, take_base
from adapters.tts.csm_codec import MimiStream
from adapters.tts.csm_conversation import Context, CsmConversation
from adapters.tts.csm_files import load_csm
from adapters.tts.csm_frames import Frames
from adapters.tts.csm_prompt import RATE, Utterance, pieces, prompt_within, utterance_of
from adapters.tts.faults import load_fault
from adapters.tts.phrase import Sentence, phrase_chunks
from adapters.tts.ranges import phase
from adapters.tts.text import seed_of
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ids import ModelId
from protocol.ports import Pcm, PcmChunk, Reference, Synthesizer

_FRAME_MS: Final = 80
_LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmOptions:
    """What a pack may say of how it speaks.

    Attributes:
        speaker: the number before each text; which voice that is, training has decided.
        longest_char_ms, longest_extra_ms: how long a piece of text may take, by its length, before it is cut off: now
            and then the model finds no end.
        context_turns, context_seconds: how much of what it has said a conversation remembers, with the present turn.
    """

    speaker: int = 0
    longest_char_ms: int = 200
    longest_extra_ms: int = 3_000
    context_turns: int = 4
    context_seconds: int = 20

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """From a pack's.

        Raises:
            ModelUnavailable: one has a value that it cannot have.
        """
        for name, value in options.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < (name == "longest_char_ms"):
                raise ModelUnavailable(f"options: {name}: a whole number of {int(name == 'longest_char_ms')} or more")
        return cls(**options)

    def most_frames(self, text: str) -> int:
        """For a piece of text."""
        return max(1, round((self.longest_char_ms * len(text) + self.longest_extra_ms) / _FRAME_MS))


class CsmSynthesizer:
    """Gives out each frame of 80 ms as soon as it is there; between two frames nothing computes.

    Phrases of several voices and sessions may alternate from frame to frame. The same text gives the same samples. The
    model knows neither a speed nor where its words are.
    """

    def __init__(
        self,
        model: ModelId,
        base: CsmBase,
        adapter: str | None,
        *,
        options: CsmOptions,
        first: tuple[Utterance, ...] = (),
        owns: bool = True,
        brought_base: bool = False,
    ) -> None:
        """`first` is what it heard before all else; `owns`: closing it gives back the base and the adapter.

        `brought_base`: see `SharesBase`.
        """
        self._model = model
        self._base: CsmBase | None = base
        self._adapter = adapter
        self._options = options
        self._first = first
        self._owns = owns
        self._brought_base = brought_base

    @property
    def model(self) -> ModelId:
        """Its id, as in its voice pack."""
        return self._model

    @property
    def sample_rate(self) -> int:
        """24 kHz."""
        return RATE

    @property
    def brought_base(self) -> bool:
        """Whether the base was loaded for it."""
        return self._brought_base

    @property
    def waiting(self) -> int:
        """How many voices on the same base wait for their next frame now; see `SharesBase`."""
        base = self._base  # once: another thread may be closing it
        return base.waiting if base is not None else 0

    def synthesize(self, text: str, *, language: str, speed: float) -> Iterator[PcmChunk]:
        """Speak one phrase; see `Synthesizer`. `language` and `speed` are not looked at: the model knows neither."""
        del language, speed
        yield from self._speak(text, self._context(turns=0))

    def imitate(self, reference: Reference) -> Synthesizer:
        """The same model with a recording's voice, which it takes for its own first words; see `Cloner`."""
        base = self._held()
        first = utterance_of(reference, self._options.speaker)
        if not first.text:
            raise SynthesisFailed("CSM: the recording has no text")
        return CsmSynthesizer(self._model, base, self._adapter, options=self._options, first=(first,), owns=False)

    def converse(self) -> CsmConversation:
        """The same voice for one conversation: what it has said there is context for what it says next."""
        return CsmConversation(self._model, self._context(turns=self._options.context_turns), self._speak)

    def close(self) -> None:
        """Give back its adapter, and the base if nobody else speaks with it; of an imitation, its recording."""
        if self._base is not None and self._owns:
            self._base.give_back(self._adapter)
        self._base, self._first = None, ()

    def _context(self, *, turns: int) -> Context:
        return Context(turns=turns, seconds=self._options.context_seconds, first=self._first)

    def _held(self) -> CsmBase:
        if self._base is None:
            raise SynthesisFailed("CSM: this voice is closed")
        return self._base

    def _speak(self, text: str, context: Context) -> Iterator[PcmChunk]:
        said: list[Utterance] = []
        try:
            seed = seed_of(text)
            sentences = (Sentence(p, self._windows(p, context, said, seed + i)) for i, p in enumerate(pieces(text)))
            yield from phrase_chunks(text, sentences, rate=RATE)
            context.add(*said)  # what was broken off is not remembered: nobody knows how much of it was heard
        except SynthesisFailed:
            raise
        except Exception as error:
            raise SynthesisFailed(f"CSM: {type(error).__name__}: {error}"[:_LONGEST_REASON]) from error

    def _windows(self, text: str, context: Context, said: list[Utterance], seed: int) -> Iterator[Pcm]:
        """A piece of a phrase, of which this was `said` before: it is added to that."""
        loaded = self._held().loaded
        model = loaded.networks.model
        speaker, most = self._options.speaker, self._options.most_frames(text)
        room = model.config.max_position_embeddings - most
        told = prompt_within(
            room, loaded.processor, context.said(said), text, first=context.first, speaker=speaker, device=model.device
        )
        frames = Frames(loaded.networks, told, seed=seed, most=most)
        codec = MimiStream(model.codec_model)
        heard: list[Pcm] = []
        try:
            while (pcm := self._next(frames, codec)) is not None:
                heard.append(pcm)
                yield pcm
            if heard:
                said[:] = context.latest((*said, Utterance(speaker, text, np.concatenate(heard))))
        finally:
            frames.close()

    def _next(self, frames: Frames, codec: MimiStream) -> Pcm | None:
        with self._held().speaking(self._adapter):
            codes = frames.next()
            if codes is None:
                return None
            with phase("csm.codec"):
                sound = codec.decode(codes[:, None])
            pcm: Pcm = np.clip(sound.float().cpu().numpy(), -1.0, 1.0)
            return pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmFiles:
    """Where a voice's weights are.

    Attributes:
        base: CSM's own.
        adapter: a LoRA adapter's, if the voice is one.
        compiled: translate the base's networks for the device first; takes minutes, and speaking is faster then.
    """

    base: Path
    adapter: Path | None = None
    compiled: bool = False


def open_csm(
    model: ModelId,
    files: CsmFiles,
    *,
    reference: Reference | None,
    options: Mapping[str, Any],
    threads: int,
    device: str,
    dtype: str,
) -> CsmSynthesizer:
    """Load a pack's model, or only its adapter if the base is resident; `reference` is whom it sounds like.

    Raises:
        ModelUnavailable: with the reason.
    """
    base: CsmBase | None = None
    try:
        chosen = CsmOptions.read(options)
        torch.set_num_threads(threads)
        key = (str(files.base.resolve()), device, dtype, str(files.compiled))
        base, is_new = take_base(key, lambda: load_csm(files.base, device=device, dtype=dtype, compiled=files.compiled))
        adapter = base.add(model, files.adapter) if files.adapter is not None else None
        first = () if reference is None else (utterance_of(reference, chosen.speaker),)
    except Exception as error:
        if base is not None:
            base.give_back()
        known = isinstance(error, ModelUnavailable)
        reason = str(error) if known else f"CSM cannot be loaded: {type(error).__name__}: {error}"
        reason = " ".join(f"{model}: {reason}".split())[:_LONGEST_REASON]
        raise ModelUnavailable(reason, fault=load_fault(error)) from error
    return CsmSynthesizer(model, base, adapter, options=chosen, first=first, brought_base=is_new)
