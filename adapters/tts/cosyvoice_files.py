"""CosyVoice 2's networks from the files that it is published in: strict, and nothing of it that is for training."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import DynamicCache
from transformers.utils.logging import disable_progress_bar

from adapters.tts.cosyvoice_code import CosyVoiceCode, quietly
from protocol.errors import ModelUnavailable

_DTYPES: Final = {
    "auto": torch.float32,  # what its authors speak with, on any device
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_PARTS: Final = frozenset(("llm", "flow", "hift", "get_tokenizer", "allowed_special", "feat_extractor"))
_BLOCK: Final = re.compile(r"^(\w+):.*\n(?:(?:[ \t#].*)?\n)*", re.MULTILINE)
_NUMBER: Final = re.compile(r"\w+: *[\w.+'-]+ *(?:#.*)?\n(?:#.*\n|\s)*")
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_TAG: Final = re.compile(r"(?:^|[\s\[,{])!(\w*:?[\w.]*)", re.MULTILINE)
_HARMLESS: Final = re.compile(r"ref|(?:new|name):(?:cosyvoice|matcha)\.[\w.]+|new:omegaconf\.DictConfig")
_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCosyVoice:
    """The three networks, ready to speak, and what turns text and recordings into their numbers.

    Attributes:
        llm: text to speech tokens, 25 a second.
        flow: tokens to a mel spectrogram, 50 frames a second.
        hift: mel to sound.
        block: tokens that `flow` sees at once, and that a chunk has therefore to be a multiple of.
        dtype: that `llm` and `flow` compute in.
    """

    code: CosyVoiceCode
    frontend: Any
    llm: Any
    flow: Any
    hift: Any
    rate: int
    block: int
    device: Any
    dtype: Any


def load_cosyvoice(code: CosyVoiceCode, folder: Path, *, device: str, dtype: str) -> LoadedCosyVoice:
    """Read it, on the thread that will use it.

    Raises:
        ModelUnavailable: the weights are not this model's; the first keys are named. Others' errors come as they are.
    """
    if dtype not in _DTYPES:
        raise ModelUnavailable(f"dtype: CosyVoice knows no {dtype}, but {', '.join(_DTYPES)}")
    text = spoken_part((folder / "cosyvoice2.yaml").read_text(encoding="utf-8"))
    disable_progress_bar()
    with quietly(), _generators_as_they_were():
        parts = code.load_yaml(text, overrides={"qwen_pretrain_path": str(folder / "CosyVoice-BlankEN")})
    with quietly():
        frontend = code.frontend.CosyVoiceFrontEnd(
            parts["get_tokenizer"],
            parts["feat_extractor"],
            str(folder / "campplus.onnx"),
            str(folder / "speech_tokenizer_v2.onnx"),
            str(folder / "spk2info.pt"),
            parts["allowed_special"],
        )
    place = torch.device(device)
    frontend.device = place  # it chooses one by itself
    for name in ("llm", "flow", "hift"):
        parts[name].float()  # transformers builds the language model in the precision that its config names
        _fill(parts[name], folder / f"{name}.pt")
        parts[name].to(place).eval()
    _adapt_steps(parts["llm"].llm)
    _compute_in(parts["llm"], _DTYPES[dtype])
    return LoadedCosyVoice(
        code=code,
        frontend=frontend,
        llm=parts["llm"],
        flow=parts["flow"],
        hift=parts["hift"],
        rate=int(parts["sample_rate"]),
        block=int(parts["flow"].encoder.static_chunk_size) or 25,
        device=place,
        dtype=_DTYPES[dtype],
    )


def spoken_part(text: str) -> str:
    """Of a `cosyvoice2.yaml`: without training, its seeds and its data, which would need memory and packages.

    What it says is built: only CosyVoice's and Matcha's own classes are.

    Raises:
        ModelUnavailable: it would build something else.
    """
    blocks = (found for found in _BLOCK.finditer(text if text.endswith("\n") else f"{text}\n"))
    kept = "".join(b.group() for b in blocks if b.group(1) in _PARTS or _NUMBER.fullmatch(b.group()))
    for tag in _TAG.findall(_COMMENT.sub("", kept)):
        if not _HARMLESS.fullmatch(tag):
            raise ModelUnavailable(f"cosyvoice2.yaml would build {tag}, which is none of CosyVoice's", fault="corrupt")
    return kept


def _fill(module: Any, path: Path) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ModelUnavailable(f"{path.name} holds no model", fault="corrupt")
    # the vocoder is stored as it was trained, beside the epoch and the step of its training
    state = {k.removeprefix("generator."): t for k, t in state.items() if k not in ("epoch", "step")}
    found = module.load_state_dict(state, strict=False)
    faults = [
        f"{len(keys)} keys are {what}: {', '.join(sorted(keys)[:_NAMED])}{', …' if len(keys) > _NAMED else ''}"
        for what, keys in (("missing", found.missing_keys), ("unknown", found.unexpected_keys))
        if keys
    ]
    if faults:
        raise ModelUnavailable(
            f"{path.name} is not what cosyvoice2.yaml describes: {'; '.join(faults)}", fault="corrupt"
        )


class _ReadableCache(DynamicCache):  # type: ignore[misc]  # without types where transformers is not installed
    """Keys and values by layer, as CosyVoice asks for them to know how much it has said; transformers 5 lacks that."""

    def __getitem__(self, layer: int) -> tuple[Any, Any]:
        return self.layers[layer].keys, self.layers[layer].values


def _adapt_steps(encoder: Any) -> None:
    """Let transformers 5 go on from what is in the cache.

    CosyVoice gives it a mask for the newest token only, which it now fills up with zeros: nothing that was said before
    would be heard.
    """
    step = encoder.forward_one_step

    def forward_one_step(xs: Any, masks: Any, cache: Any = None) -> Any:
        cache = _ReadableCache() if cache is None else cache
        length = cache.get_seq_length() + xs.shape[1]
        return step(xs, masks.new_ones((1, 1, length)), cache)

    encoder.forward_one_step = forward_one_step


def _compute_in(llm: Any, dtype: Any) -> None:
    """The weights themselves, once; what is drawn from the last layer's numbers needs them in single precision."""
    llm.to(dtype)
    llm.llm_decoder.float()
    llm.llm_decoder.register_forward_pre_hook(lambda _module, inputs: (inputs[0].float(),))


@contextmanager
def _generators_as_they_were() -> Iterator[None]:
    """CosyVoice seeds all the process's random generators while it builds its networks."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # the old one is what it seeds
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002  # as above
