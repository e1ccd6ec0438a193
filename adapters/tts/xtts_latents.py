"""XTTS's language model, one step at a time, for several phrases in turn."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from adapters.tts.ranges import phase

_Tensor = Any
"""torch has no types where it is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How adventurous the next token is chosen."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float

    def processors(self, *, device: Any, seed: int) -> Any:
        """The library's own, and the drawing itself."""
        return LogitsProcessorList(
            [
                RepetitionPenaltyLogitsProcessor(penalty=self.repetition_penalty),
                TemperatureLogitsWarper(self.temperature),
                TopKLogitsWarper(top_k=self.top_k),
                TopPLogitsWarper(top_p=self.top_p),
                _Draw(device, seed),
            ]
        )


class _Draw:
    """Draws the next token with a generator of the phrase's own and leaves the library no other choice.

    The library draws from the process's one generator, so that what a phrase sounds like would depend on what else
    is spoken at the same time.
    """

    def __init__(self, device: Any, seed: int) -> None:
        self._generator = torch.Generator(device=device).manual_seed(seed)

    def __call__(self, _ids: _Tensor, scores: _Tensor) -> _Tensor:
        drawn = torch.multinomial(torch.softmax(scores, dim=-1), 1, generator=self._generator)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


def latents_of(
    gpt: Any, tokens: list[int], condition: _Tensor, *, sampling: Sampling, seed: int, most: int
) -> Generator[_Tensor, None, None]:
    """The latents [1, channels] of one piece of text, at most `most` of them; each is computed when it is asked for.

    The library keeps the text that is spoken in the model itself: it is put back before each step.
    """
    inference = gpt.gpt_inference
    device = condition.device
    with torch.inference_mode():
        inputs = gpt.compute_embeddings(condition, torch.tensor([tokens], dtype=torch.int, device=device))
    text = inference.cached_prefix_emb
    steps = gpt.get_generator(
        fake_inputs=inputs,
        logits_processor=sampling.processors(device=device, seed=seed),
        do_sample=True,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        repetition_penalty=1.0,
        num_beams=1,
        num_return_sequences=1,
        output_attentions=False,
        output_hidden_states=True,
        return_dict_in_generate=False,  # else the library keeps every layer's states of every step
    )
    try:
        for _ in range(most):
            inference.store_prefix_emb(text)
            with phase("xtts.gpt"):
                step = next(steps, None)
            inference.store_prefix_emb(None)
            if step is None:
                return
            yield step[1]
    finally:
        steps.close()
