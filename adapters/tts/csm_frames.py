"""CSM, a frame at a time: the library's networks, driven so that between two frames nothing runs and nothing is shared.

The library's `generate` runs to the end by itself: to pause or stop it takes a thread for each phrase, its static cache
belongs to the model, and its dice are the process's. What is done here for a frame is what it does (a test compares
them), but the caller asks for each one, the cache and the dice are the phrase's own, and no thread is left behind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import torch
from transformers import StaticCache
from transformers.generation.logits_process import (
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from adapters.tts.ranges import phase

_TOP_K: Final = 50
"""What the library takes where the files are silent."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one network's next code is drawn.

    Attributes:
        choice: what is left of the logits; the likeliest of them is taken if not `draws`.
    """

    choice: LogitsProcessorList
    draws: bool

    @classmethod
    def read(cls, said: Mapping[str, Any], *, codes: int, vocabulary: int, device: str) -> Self:
        """From what `generation_config.json` says; ids that are no codes are never drawn."""
        choice = LogitsProcessorList()
        if vocabulary > codes:
            choice.append(SuppressTokensLogitsProcessor(list(range(codes, vocabulary)), device=device))
        draws = bool(said.get("do_sample", False))
        if draws:
            temperature, top_k, top_p = said.get("temperature"), said.get("top_k"), said.get("top_p")
            if temperature not in (None, 1.0):
                choice.append(TemperatureLogitsWarper(float(temperature)))
            if top_k := _TOP_K if top_k is None else int(top_k):
                choice.append(TopKLogitsWarper(top_k))
            if top_p not in (None, 1.0):
                choice.append(TopPLogitsWarper(float(top_p)))
        return cls(choice, draws)

    def next(self, logits: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
        """The code, `[1]`, for `[1, vocabulary]`."""
        scores = self.choice(torch.empty(1, 0, dtype=torch.long), logits.to(torch.float32))
        if not self.draws:
            return scores.argmax(-1)
        return torch.multinomial(scores.softmax(-1), 1, generator=dice)[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """What speaks: `first` draws a frame's first code, `rest` the others.

    Attributes:
        backbone, depth: called for single frames and codes; compiled, if the pack wants that.
        compiled: caches then have one size and are used again, because compiled code is made for sizes and places.
    """

    model: Any
    backbone: Callable[..., Any]
    depth: Callable[..., Any]
    first: Sampling
    rest: Sampling
    compiled: bool = False
    depth_cache: StaticCache = field(init=False)
    _spare: list[StaticCache] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """One cache serves all phrases' depth decoder: nobody else's turn comes before a frame is complete."""
        config = self.model.config
        cache = StaticCache(config=config.depth_decoder_config, max_cache_len=config.num_codebooks + 1)
        object.__setattr__(self, "depth_cache", cache)

    def open_cache(self, length: int) -> StaticCache:
        """For one phrase's backbone, of at least this many positions."""
        if self._spare:
            return self._spare.pop()
        config = self.model.config
        return StaticCache(config=config, max_cache_len=config.max_position_embeddings if self.compiled else length)

    def close_cache(self, cache: StaticCache) -> None:
        """It is not needed any more."""
        if self.compiled:
            cache.reset()
            self._spare.append(cache)


class Frames:
    """One phrase's codes, a frame of 80 ms for each call of `next`. Holds its cache until it is closed."""

    def __init__(self, networks: Networks, prompt: Mapping[str, torch.Tensor], *, seed: int, most: int) -> None:
        """`most`: frames, after which the phrase is over even if the model finds no end."""
        config = networks.model.config
        self._networks = networks
        self._prompt: Mapping[str, torch.Tensor] | None = prompt
        told = prompt["input_ids"].shape[1]
        self._left = max(0, min(most, config.max_position_embeddings - told))
        self._cache: StaticCache | None = networks.open_cache(told + self._left)
        self._dice = torch.Generator(device=networks.model.device).manual_seed(seed)
        self._frame: torch.Tensor | None = None

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]  # typed only where torch is installed
    def next(self) -> torch.Tensor | None:
        """The codes, `[codebooks]`; None at the end."""
        if self._left <= 0 or self._cache is None:
            return None
        self._left -= 1
        with phase("csm.backbone"):
            hidden = self._listen()
            logits = self._networks.model.lm_head(hidden)
        with phase("csm.depth"):
            frame = self._complete(self._networks.first.next(logits, self._dice), hidden)
        if bool((frame == self._networks.model.config.codebook_eos_token_id).all()):
            self._left = 0
            return None
        self._frame = frame
        return frame

    def close(self) -> None:
        """Give back what the phrase holds; harmless when repeated."""
        if self._cache is not None:
            self._networks.close_cache(self._cache)
            self._cache = self._prompt = self._frame = None

    def _listen(self) -> torch.Tensor:
        """What the backbone makes of the prompt, or of the last frame: `[1, width]`."""
        if self._prompt is not None:
            model, prompt, self._prompt = self._networks.model, self._prompt, None
            said = model(
                **prompt, past_key_values=self._cache, use_cache=True, logits_to_keep=1, output_hidden_states=True
            )
            hidden: torch.Tensor = said.hidden_states[-1][:, -1]
            return hidden
        assert self._frame is not None  # noqa: S101  # there is one after the prompt
        said = self._networks.backbone(
            input_ids=self._frame[None, None], past_key_values=self._cache, use_cache=True
        ).last_hidden_state
        return said[:, -1].clone()

    def _complete(self, first: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """A frame's other codes, each drawn in sight of those before."""
        networks, codes = self._networks, [first]
        networks.depth_cache.reset()
        ids = torch.nn.functional.pad(first[:, None], (1, 0))  # the backbone's word stands in place of the first
        said = networks.model.depth_decoder(
            input_ids=ids,
            backbone_last_hidden_state=hidden.clone(),
            past_key_values=networks.depth_cache,
            use_cache=True,
            logits_to_keep=1,
        )
        codes.append(networks.rest.next(said.logits[:, -1], self._dice))
        while len(codes) < networks.model.config.num_codebooks:
            said = networks.depth(
                input_ids=codes[-1][:, None], past_key_values=networks.depth_cache, use_cache=True, logits_to_keep=1
            )
            codes.append(networks.rest.next(said.logits[:, -1], self._dice))
        return torch.cat(codes)
