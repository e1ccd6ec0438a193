"""From text to CosyVoice's speech tokens, and from those to sound, a chunk at a time and for several phrases in turn.

The library's own `tts()` runs its language model in a thread of its own. That goes on when nobody listens any more;
when it dies, `tts()` waits for it for ever; and chunks grow to four times their size, for all later phrases, too.
Here the same networks are driven from one thread, a step whenever one is asked for: nothing is computed in a pause,
nothing is left behind by a stop, an error is the caller's, and each phrase begins with a small chunk.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, Final

import numpy as np
import torch

from adapters.tts.cosyvoice_files import LoadedCosyVoice
from adapters.tts.cosyvoice_voice import CosyVoiceVoice
from adapters.tts.ranges import phase
from protocol.ports import Pcm

_GROWTH: Final = 2
_LARGEST: Final = 4
"""Blocks in a chunk: the flow computes the whole phrase anew for each, so later chunks are larger; as the library."""
_KEPT_FRAMES: Final = 8
"""Mel frames at a chunk's end that are vocoded again with the next one, and cross-faded; as the library."""
_KEPT_SAMPLES: Final = _KEPT_FRAMES * 480
_Tensor = Any
"""torch has no types where it is not installed."""


class Chance:
    """A phrase's own random numbers.

    CosyVoice draws from the process's one generator, so that what a phrase sounds like would depend on what else is
    spoken at the same time.
    """

    def __init__(self, seed: int, device: Any) -> None:
        self._cuda = device if device.type == "cuda" else None
        with self._forked():
            torch.manual_seed(seed)
            self._keep()

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """What is computed within draws from this phrase's numbers."""
        with self._forked():
            torch.set_rng_state(self._state)
            if self._cuda is not None:
                torch.cuda.set_rng_state(self._cuda_state, self._cuda)
            try:
                yield
            finally:
                self._keep()

    def _forked(self) -> AbstractContextManager[Any]:
        forked: AbstractContextManager[Any] = torch.random.fork_rng([] if self._cuda is None else [self._cuda])
        return forked

    def _keep(self) -> None:
        self._state = torch.get_rng_state()
        if self._cuda is not None:
            self._cuda_state = torch.cuda.get_rng_state(self._cuda)


def speech_tokens(loaded: LoadedCosyVoice, voice: CosyVoiceVoice, text: str, chance: Chance) -> Iterator[int]:
    """What the language model says; each token (40 ms) is computed when it is asked for."""
    tokens, length = loaded.frontend._extract_text_token(text)  # noqa: SLF001  # the library's modes do the same
    steps = loaded.llm.inference(
        text=tokens,
        text_len=length,
        prompt_text=voice.text,
        prompt_text_len=_length(voice.text),
        prompt_speech_token=voice.said,
        prompt_speech_token_len=_length(voice.said),
        embedding=voice.speaker,
    )
    with closing(steps):
        while True:
            with chance.drawn(), phase("cosyvoice.llm"):
                token = next(steps, None)
            if token is None:
                return
            yield int(token)


class Sounding:
    """One piece of text on its way to sound."""

    def __init__(self, loaded: LoadedCosyVoice, voice: CosyVoiceVoice, chance: Chance, *, speed: float) -> None:
        self._loaded = loaded
        self._voice = voice
        self._chance = chance
        self._speed = speed
        self._window = torch.hamming_window(2 * _KEPT_SAMPLES, periodic=False)
        self._kept: tuple[_Tensor, _Tensor, _Tensor] | None = None
        self._said: list[int] = []
        self._done = 0
        self._size = loaded.block + self._unfilled(loaded.block)

    def windows(self, tokens: Iterator[int]) -> Iterator[Pcm]:
        """Its sound, as soon as there are enough tokens for a chunk: the first one takes a second of them."""
        for token in tokens:
            sound = self.feed(token)
            if sound is not None:
                yield sound
        rest = self.finish()
        if rest is not None:
            yield rest

    def feed(self, token: int) -> Pcm | None:
        """One more token; the sound of a chunk, once it is there."""
        self._said.append(token)
        if len(self._said) < self._done + self._size + int(self._loaded.flow.pre_lookahead_len):
            return None
        sound = self._sound(self._said, self._done, last=False)
        self._done += self._size
        block = self._loaded.block
        self._size = min(_LARGEST, max(1, self._size // block) * _GROWTH) * block
        return sound

    def finish(self) -> Pcm | None:
        """The rest, once there are no more tokens; None if there was none."""
        return self._sound(self._said, self._done, last=True) if self._said else None

    def _unfilled(self, block: int) -> int:
        """Of the block that the recording has begun; none, unless it is shorter than one."""
        return -int(self._voice.heard.shape[1]) % block

    def _sound(self, said: list[int], done: int, *, last: bool) -> Pcm:
        with self._chance.drawn(), torch.inference_mode():
            with phase("cosyvoice.flow"):
                mel = self._mel(said, last=last)[:, :, done * int(self._loaded.flow.token_mel_ratio) :]
                if self._speed != 1.0:
                    size = max(1, round(mel.shape[2] / self._speed))
                    mel = torch.nn.functional.interpolate(mel, size=size, mode="linear")
            with phase("cosyvoice.hift"):
                return self._vocoded(mel, last=last)

    def _mel(self, said: list[int], *, last: bool) -> _Tensor:
        """Of the whole piece so far [1, 80, frames]."""
        loaded, voice = self._loaded, self._voice
        tokens = torch.tensor([said], dtype=torch.int32, device=loaded.device)
        single = loaded.dtype == torch.float32
        with nullcontext() if single else torch.autocast(loaded.device.type, loaded.dtype):
            mel, _ = loaded.flow.inference(
                token=tokens,
                token_len=_length(tokens),
                prompt_token=voice.heard,
                prompt_token_len=_length(voice.heard),
                prompt_feat=voice.mel,
                prompt_feat_len=_length(voice.mel),
                embedding=voice.speaker,
                streaming=not last,  # the library's own `tts()` decodes the end of a phrase with all of it in view
                finalize=last,
            )
        return mel.float()

    def _vocoded(self, mel: _Tensor, *, last: bool) -> Pcm:
        source = torch.zeros(1, 1, 0, device=mel.device)
        kept = self._kept
        if kept is not None:
            mel, source = torch.cat((kept[0], mel), dim=2), kept[1]
        sound, source = self._loaded.hift.inference(speech_feat=mel, cache_source=source)
        if kept is not None:
            sound = self._loaded.code.fade_in_out(sound, kept[2], self._window)
        if not last:
            self._kept = mel[:, :, -_KEPT_FRAMES:], source[:, :, -_KEPT_SAMPLES:], sound[:, -_KEPT_SAMPLES:]
            sound = sound[:, :-_KEPT_SAMPLES]
        pcm: Pcm = sound.reshape(-1).float().cpu().numpy()
        return np.clip(pcm, -1.0, 1.0)


def _length(tensor: _Tensor) -> _Tensor:
    return torch.tensor([tensor.shape[1]], dtype=torch.int32, device=tensor.device)
