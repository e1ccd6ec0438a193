"""XTTS's model from its own files, as its authors publish them: strict, without a network, files left as they are."""

import hashlib
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn.utils import parametrize
from TTS.config.shared_configs import BaseDatasetConfig
from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models import xtts as library

from protocol.errors import ModelUnavailable

_DTYPES: Final = {
    "auto": torch.float32,  # what its authors speak with, on any device
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TRAINERS: Final = frozenset({"torch_mel_spectrogram_style_encoder", "torch_mel_spectrogram_dvae", "dvae"})
"""Parts of a checkpoint that only training needs."""
_NAMED: Final = 3
_SAMPLED: Final = 64
"""Values of each tensor that tell two models' weights apart."""
_OLD_HOME: Final = "TTS.tts.models.xtts"
"""Where the library had the classes that the original checkpoint names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XttsFiles:
    """By their published names: model.pth, config.json, vocab.json, speakers_xtts.pth (which may be missing)."""

    weights: Path
    config: Path
    vocabulary: Path
    speakers: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedXtts:
    """The library's model, ready to speak.

    Attributes:
        mark: of the weights that turn a recording into a voice, as file names can hold it.
    """

    model: Any
    config: Any
    speakers: Mapping[str, Mapping[str, Any]]
    dtype: Any
    mark: str


def load_xtts(files: XttsFiles, *, device: str, dtype: str) -> LoadedXtts:
    """Read it, on the thread that will use it.

    The library's own loader is not called: it writes the original checkpoint anew in place, which spoils its checksum,
    and takes what it finds for missing by trying twice.

    Raises:
        ModelUnavailable: the weights are not this model's; the first keys are named. Others' errors come as they are.
    """
    _be_quiet()
    if dtype not in _DTYPES:
        raise ModelUnavailable(f"dtype: XTTS knows no {dtype}, but {', '.join(_DTYPES)}")
    config = XttsConfig()
    config.load_json(str(files.config))
    tokenizer = VoiceBpeTokenizer(vocab_file=str(files.vocabulary))
    config.model_args.gpt_number_text_tokens = tokenizer.get_number_tokens()
    config.model_args.gpt_start_text_token = tokenizer.tokenizer.token_to_id("[START]")
    config.model_args.gpt_stop_text_token = tokenizer.tokenizer.token_to_id("[STOP]")
    model = library.Xtts(config)  # `init_from_config` does the same, with a warning that it will go
    model.tokenizer = tokenizer
    state = _weights(files.weights)
    _fill(model, state, files.weights.name)
    speakers = {} if files.speakers is None else torch.load(files.speakers, map_location="cpu", weights_only=True)
    model.eval()
    _fix_weights(model.hifigan_decoder.waveform_decoder)
    model.to(device)
    _be_precise(model.gpt, _DTYPES[dtype])
    return LoadedXtts(model=model, config=config, speakers=speakers, dtype=_DTYPES[dtype], mark=_mark(state))


def _weights(path: Path) -> dict[str, Any]:
    """Tensors only: a checkpoint may not run code. The original one holds the library's configuration, too."""
    known = [BaseDatasetConfig, XttsConfig, XttsArgs, XttsAudioConfig]
    known += [(cls, f"{_OLD_HOME}.{cls.__name__}") for cls in (XttsArgs, XttsAudioConfig)]
    with torch.serialization.safe_globals(known):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ModelUnavailable(f"{path.name} holds no model", fault="corrupt")
    renamed = {key.removeprefix("xtts."): tensor for key, tensor in state.items()}
    return {key: tensor for key, tensor in renamed.items() if key.split(".")[0] not in _TRAINERS}


def _fill(model: Any, state: dict[str, Any], name: str) -> None:
    if any(key.startswith("gpt.gpt_inference.") for key in state):
        model.gpt.init_gpt_for_inference()  # the first release stores this part twice
    found = model.load_state_dict(state, strict=False)
    faults = [
        f"{len(keys)} keys are {what}: {', '.join(sorted(keys)[:_NAMED])}{', …' if len(keys) > _NAMED else ''}"
        for what, keys in (("missing", found.missing_keys), ("unknown", found.unexpected_keys))
        if keys
    ]
    if faults:
        raise ModelUnavailable(
            f"{name} is not XTTS's as config.json describes it: {'; '.join(faults)}", fault="corrupt"
        )


def _fix_weights(vocoder: Any) -> None:
    """Normalise them once, not for each window. The library's own way fails on layers that are not normalised."""
    for layer in vocoder.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")


def _be_precise(gpt: Any, dtype: Any) -> None:
    """The language model only: the vocoder and what clones voices stay in single precision."""
    for name, part in gpt.named_children():
        if not name.startswith("conditioning"):
            part.to(dtype)

    channels = gpt.model_dim  # the function must not hold the model: closing it would not free it

    def no_positions(at: Any) -> Any:
        return torch.zeros((*at.shape, channels), dtype=dtype, device=at.device)

    gpt.gpt.wpe = no_positions  # the library's own adds zeros in single precision, which makes all that follows such


def _mark(state: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for key in sorted(state):
        if "conditioning" in key or "speaker_encoder" in key or key == "mel_stats":
            digest.update(key.encode())
            digest.update(state[key].reshape(-1)[:_SAMPLED].float().numpy().tobytes())
    return digest.hexdigest()[:16]


def _be_quiet() -> None:
    for name in ("TTS", "trainer", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
