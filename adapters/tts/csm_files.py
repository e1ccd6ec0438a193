"""CSM's files, loaded strictly: what is missing or too much is named instead of being passed over with a warning."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import AutoProcessor, CsmForConditionalGeneration

from adapters.tts.csm_frames import Networks, Sampling
from protocol.errors import ModelUnavailable

_DEPTH: Final = "depth_decoder_"
_NAMED: Final = 3
"""How many wrong keys a message names."""
_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class LoadedCsm:
    """A model, and what makes its prompts."""

    networks: Networks
    processor: Any


def load_csm(folder: Path, *, device: str, dtype: str, compiled: bool) -> LoadedCsm:
    """From the files in transformers' layout; nothing is looked for elsewhere.

    The codec stays in float32 whatever `dtype` is: its sound is worth its 200 MB.

    Raises:
        ModelUnavailable: weights are missing or too many, or the library cannot read something.
    """
    be_quiet()
    model, report = CsmForConditionalGeneration.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
    )
    wrong = {kind: report[f"{kind}_keys"] for kind in ("missing", "unexpected", "mismatched")}
    refuse_wrong_keys(folder.name, wrong)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    _lighten(model, dtype_of(device, dtype))
    model.to(device).eval().requires_grad_(requires_grad=False)
    return LoadedCsm(_networks(model, folder, device, compiled=compiled), processor)


def dtype_of(device: str, dtype: str) -> torch.dtype:
    """What `auto` means: float32 on a processor, bfloat16 elsewhere."""
    if dtype == "auto":
        return torch.float32 if device == "cpu" else torch.bfloat16
    if dtype not in _DTYPES:
        raise ModelUnavailable(f"dtype: {dtype!r} is none of auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


def refuse_wrong_keys(where: str, wrong: Mapping[str, Iterable[Any]]) -> None:
    """Raise `ModelUnavailable` that names the first ones, if there are any."""
    for kind, keys in wrong.items():
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys)
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            reason = f"{where}: {kind} weights: {', '.join(names[:_NAMED])}{more}"
            raise ModelUnavailable(reason, fault="corrupt")


def be_quiet() -> None:
    """Errors are raised; the rest of what the library has to say is not for a worker's log."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _lighten(model: Any, dtype: torch.dtype) -> None:
    """Parameters only: in the buffers are frequencies that half precision would put out of tune."""
    for name, parameter in model.named_parameters():
        if not name.startswith("codec_model."):
            parameter.data = parameter.data.to(dtype)


def _networks(model: Any, folder: Path, device: str, *, compiled: bool) -> Networks:
    said = _said(folder / "generation_config.json")
    # transformers 5.23 loses what the file says of the depth decoder, which then always takes the likeliest code
    depth = {key.removeprefix(_DEPTH): value for key, value in said.items() if key.startswith(_DEPTH)}
    config = model.config
    codes, vocabulary = config.codec_config.codebook_size, config.vocab_size
    backbone, decoder = model.backbone_model, model.depth_decoder
    if compiled:
        mode = "default" if device == "cpu" else "reduce-overhead"
        backbone, decoder = (torch.compile(part, mode=mode, dynamic=False) for part in (backbone, decoder))
    return Networks(
        model=model,
        backbone=backbone,
        depth=decoder,
        first=Sampling.read(said, codes=codes, vocabulary=vocabulary, device=device),
        rest=Sampling.read(depth, codes=codes, vocabulary=vocabulary, device=device),
        compiled=compiled,
    )


def _said(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
