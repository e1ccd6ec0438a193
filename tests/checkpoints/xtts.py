"""An XTTS-v2 with random weights, in the files and the layout that the real one is published in.

It says noise, at a voice's level. It never ends by itself: a pack's `longest_char_ms` gives it speech's pace.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from tests.checkpoints.sizes import Size

SPEAKERS: Final = ("Tiny Ada", "Tiny Ben")
CHANNELS: Final = 64
"""Of a tiny one."""
OPTIONS: Final = {"longest_char_ms": 60, "longest_extra_ms": 0, "speaker": SPEAKERS[0]}
_REAL_TOKENS: Final = 6_681
_LANGUAGES: Final = "en,es,fr,de,it,pt,pl,tr,ru,nl,cs,ar,zh-cn,hu,ko,ja,hi"
_LOUDER: Final = 0.1
"""RMS of what the vocoder gives out, at full scale 1."""
METADATA: Final = """\
family: xtts
model_id: {model}
title: XTTS with random weights
languages: [en, es, fr, de, it, pt, pl, tr, ru, nl, cs, ar, zh, hu, ko, ja, hi]
sample_rate: 24000
tags: [zero_shot]
licence: Coqui Public Model License 1.0.0
non_free: true
memory_mb: 200
options: {options}
{reference}
source:
  files:
    - {{path: model.pth, as: weights}}
    - {{path: config.json, as: config}}
    - {{path: vocab.json, as: vocabulary}}
    - {{path: speakers_xtts.pth, as: speakers}}
"""


def build_xtts(folder: Path, *, size: Size = "tiny") -> Path:
    """Write the files, as coqui published XTTS-v2: weights beside the library's own configuration, pickled.

    The vocoder and what clones voices have their real dimensions at either size.
    """
    import torch  # noqa: PLC0415  # only where the extra is installed
    from TTS.tts.configs.xtts_config import XttsConfig  # noqa: PLC0415  # as above
    from TTS.tts.models.xtts import Xtts, _legacy_safe_globals  # noqa: PLC0415  # as above

    folder.mkdir(parents=True, exist_ok=True)
    config = _config(_vocabulary(folder / "vocab.json", size), size)
    channels = config.model_args.gpt_n_model_channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        model = Xtts(config)
        _make_audible(model, channels)
        speakers = {name: _speaker(channels) for name in SPEAKERS}
    config.save_json(str(folder / "config.json"))
    with _legacy_safe_globals():
        torch.save({"model": old_names(model.state_dict()), "config": XttsConfig()}, folder / "model.pth")
    torch.save(speakers, folder / "speakers_xtts.pth")
    return folder


def write_pack(folder: Path, *, model: str = "xtts-tiny", seed: bool = False, **options: Any) -> Path:
    """The metadata beside the files, and a recording to imitate if wanted; an empty option is left out."""
    reference = ""
    if seed:
        (folder / "ref").mkdir(exist_ok=True)
        soundfile.write(folder / "ref" / "seed.wav", recording(), 22_050, subtype="PCM_16")
        reference = "reference: {audio: ref/seed.wav, text: Nothing that anyone could understand.}"
    chosen = {key: value for key, value in {**OPTIONS, **options}.items() if value != ""}
    content = METADATA.format(model=model, options=json.dumps(chosen), reference=reference)
    (folder / "metadata.yaml").write_text(content, encoding="utf-8")
    return folder


def recording(seconds: float = 4.0, *, pitch_hz: float = 140.0, rate: int = 22_050) -> np.ndarray[Any, Any]:
    """A hum that swells and fades like syllables do."""
    time = np.arange(int(seconds * rate)) / rate
    hum = sum(np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12))
    return (0.1 * hum * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def old_names(state: dict[str, Any]) -> dict[str, Any]:
    """Weight norm as torch named it when XTTS-v2 was published."""
    old = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
    renamed = {}
    for key, tensor in state.items():
        for new, name in old.items():
            key = key.replace(new, name)  # noqa: PLW2901  # one of the two at most
        renamed[key] = tensor
    return renamed


def _vocabulary(path: Path, size: Size) -> Any:
    """Letters, and the commands that the real one has; at real size as many tokens as that, most of them unused."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: PLC0415  # as above

    commands = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{language}]" for language in _LANGUAGES.split(",")), "[START]"]
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106  # no secret
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=120,
        special_tokens=commands,
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz.,?!'-"),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["hello there this is a small test of the voice"], trainer)
    if size == "real":
        tokenizer.add_tokens([f"[unused {index}]" for index in range(_REAL_TOKENS - tokenizer.get_vocab_size())])
    tokenizer.save(str(path))
    return tokenizer


def _config(tokenizer: Any, size: Size) -> Any:
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig  # noqa: PLC0415  # as above

    layers, channels, heads = (2, CHANNELS, 4) if size == "tiny" else (30, 1024, 16)
    args = XttsArgs(
        gpt_layers=layers, gpt_n_model_channels=channels, gpt_n_heads=heads, decoder_input_dim=channels,
        gpt_number_text_tokens=tokenizer.get_vocab_size(), gpt_start_text_token=tokenizer.token_to_id("[START]"),
        gpt_stop_text_token=tokenizer.token_to_id("[STOP]"), gpt_num_audio_tokens=1026, gpt_start_audio_token=1024,
        gpt_stop_audio_token=1025, gpt_use_perceiver_resampler=True,
    )  # fmt: skip
    return XttsConfig(
        model_args=args, temperature=0.75, repetition_penalty=5.0, gpt_cond_len=30, gpt_cond_chunk_len=4, max_ref_len=30
    )


def _make_audible(model: Any, channels: int) -> None:
    """Never the end, and a voice's level."""
    import torch  # noqa: PLC0415  # as above

    with torch.no_grad():
        model.gpt.mel_head.bias[model.gpt.stop_audio_token] = -1e4
        decoder = model.hifigan_decoder
        latents = torch.randn(1, 12, channels)
        loudness = decoder(latents, g=torch.randn(1, 512, 1) / 512**0.5).std()
        last = decoder.waveform_decoder.conv_post
        last.weight.mul_(_LOUDER / loudness)


def _speaker(channels: int) -> dict[str, Any]:
    import torch  # noqa: PLC0415  # as above

    speaker = torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1)
    return {"gpt_cond_latent": torch.randn(1, 32, channels), "speaker_embedding": speaker}
