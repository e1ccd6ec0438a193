"""A CSM with random weights, and LoRA adapters of it, in the files in which the real ones are published.

It says noise, at a voice's level. It never ends by itself: a pack's `longest_char_ms` gives it speech's pace.
"""

import json
from pathlib import Path
from typing import Any, Final

from tests.checkpoints.csm_tokens import make_processor
from tests.checkpoints.sizes import Size

CODEBOOKS: Final = 8
ENTRIES: Final = 64
OPTIONS: Final = {"longest_char_ms": 36, "longest_extra_ms": 0}
_TARGETS: Final = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""Which layers Unsloth adapts."""
_LOUDER: Final = 0.1
"""RMS of what the codec gives out, at full scale 1."""
_METADATA: Final = """\
family: csm
model_id: {model}
title: CSM with random weights
languages: [en]
sample_rate: 24000
tags: [{tags}]
licence: Apache-2.0
memory_mb: {memory}
options: {options}
{base}
source:
  files:
{files}
"""


def build_csm(folder: Path, *, size: Size = "tiny") -> Path:
    """Write the files, weights in several parts under an index, as `sesame/csm-1b` has them.

    At real size they are made in bfloat16 and widened part by part: 4 GB of memory do.
    """
    import torch  # noqa: PLC0415  # only where the extra is installed
    from transformers import CsmConfig, CsmForConditionalGeneration  # noqa: PLC0415  # as above

    processor = make_processor(size)
    config = _config(processor.tokenizer) if size == "tiny" else CsmConfig()
    dtype = torch.float32 if size == "tiny" else torch.bfloat16
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = CsmForConditionalGeneration._from_config(config, dtype=dtype)
        model.codec_model.float()  # as it is loaded
        _make_audible(model)
    model.generation_config.update(do_sample=True, temperature=0.9, max_new_tokens=125, use_cache=True)
    rest = config.num_codebooks - 1
    model.depth_decoder.generation_config.update(
        do_sample=True, temperature=0.9, min_new_tokens=rest, max_new_tokens=rest
    )
    model.save_pretrained(folder, max_shard_size="700KB" if size == "tiny" else "1GB")
    processor.save_pretrained(folder)
    del model
    _name_as_published(folder)
    _widen(folder)
    return folder


def build_lora(base: Path, folder: Path, *, seed: int, rank: int = 4) -> Path:
    """Write an adapter as Unsloth's `save_pretrained` does: `adapter_config.json`, `adapter_model.safetensors`."""
    import torch  # noqa: PLC0415  # only where the extra is installed
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  # as above
    from transformers import CsmForConditionalGeneration  # noqa: PLC0415  # as above

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CsmForConditionalGeneration.from_pretrained(base, local_files_only=True)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0, bias="none", target_modules=_TARGETS)
        adapted = get_peft_model(model, config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zero before training
                torch.nn.init.normal_(parameter, std=0.3)
        adapted.save_pretrained(folder)
    written = folder / "adapter_config.json"
    content = json.loads(written.read_text(encoding="utf-8"))
    content["base_model_name_or_path"] = "unsloth/csm-1b"  # where it was trained; nobody may go looking for it
    written.write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_pack(folder: Path, *, model: str = "csm-tiny", base: str | None = None, **options: Any) -> Path:
    """Describe what lies in `folder`: a base, or an adapter of the pack `base`."""
    files = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".jinja", ".safetensors"))
    content = _METADATA.format(
        model=model,
        tags="lora" if base else "zero_shot",
        memory=1 if base else 40,
        options=json.dumps((OPTIONS if base is None else {}) | options),
        base=f"base: {base}" if base else "",
        files="\n".join(f"    - path: {name}" for name in files),
    )
    (folder / "metadata.yaml").write_text(content, encoding="utf-8")
    return folder


def build_packs(root: Path, *adapters: str, **options: Any) -> Path:
    """A folder of packs: `csm-tiny`, and `csm-NAME` for each adapter, no two alike."""
    base = write_pack(build_csm(root / "csm" / "tiny"), **options)
    for seed, name in enumerate(adapters, 1):
        write_pack(build_lora(base, root / "csm" / name, seed=seed), model=f"csm-{name}", base="csm-tiny")
    return root


def _config(tokenizer: Any) -> Any:
    from transformers import CsmConfig, MimiConfig  # noqa: PLC0415  # only where the extra is installed

    codec = MimiConfig(
        hidden_size=32,
        num_filters=4,
        codebook_size=ENTRIES,
        codebook_dim=16,
        vector_quantization_hidden_dimension=16,
        num_quantizers=CODEBOOKS,
        upsample_groups=32,
        num_hidden_layers=2,
        intermediate_size=64,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=20,
    )
    audio, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<|AUDIO|>", "<|audio_eos|>"))
    shape = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    return CsmConfig(
        num_codebooks=CODEBOOKS,
        vocab_size=ENTRIES + 3,
        text_vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        max_position_embeddings=2_048,
        pad_token_id=audio,
        codebook_pad_token_id=ENTRIES + 2,
        codebook_eos_token_id=0,
        bos_token_id=0,
        audio_token_id=audio,
        audio_eos_token_id=end,
        depth_decoder_config={
            "num_codebooks": CODEBOOKS,
            "backbone_hidden_size": 64,
            "vocab_size": ENTRIES + 3,
            "hidden_size": 48,
            "intermediate_size": 96,
            "max_position_embeddings": CODEBOOKS + 1,
            **shape,
        },
        codec_config=codec,
        **shape,
    )


def _make_audible(model: Any) -> None:
    """Random codebooks, layers that count, and the level of a voice."""
    import torch  # noqa: PLC0415  # only where the extra is installed

    codec = model.codec_model
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("embed_sum"):
                buffer.normal_()
            if name.endswith("cluster_usage"):
                buffer.fill_(1.0)
        for name, parameter in codec.named_parameters():
            if "layer_scale" in name:
                parameter.fill_(1.0)
        entries, books = codec.config.codebook_size, codec.config.num_quantizers
        codes = torch.randint(1, entries, (1, books, 50))
        sound = codec.decode(codes).audio_values
        last = codec.decoder.decoder_seanet.layers[-1].conv
        last.weight.mul_(_LOUDER / sound.std())
        last.bias.sub_(sound.mean()).mul_(_LOUDER / sound.std())


def _name_as_published(folder: Path) -> None:
    """`transformers-00001-of-00002.safetensors`: beside them lie the weights in Sesame's own layout."""
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    new = {name: name.replace("model-", "transformers-", 1) for name in set(content["weight_map"].values())}
    for old, name in new.items():
        (folder / old).rename(folder / name)
    content["weight_map"] = {key: new[name] for key, name in content["weight_map"].items()}
    _write_twice(folder, content["weight_map"])
    (folder / "transformers.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")
    index.unlink()
    config = folder / "config.json"
    described = json.loads(config.read_text(encoding="utf-8")) | {
        "transformers_weights": "transformers.safetensors.index.json",
        "dtype": "float32",
    }
    config.write_text(json.dumps(described), encoding="utf-8")


def _widen(folder: Path) -> None:
    """To float32, as the published weights are: on a processor those are then mapped, not copied, into memory."""
    import torch  # noqa: PLC0415  # only where the extra is installed
    from safetensors.torch import load_file, save_file  # noqa: PLC0415  # only where the extra is installed

    for path in sorted(folder.glob("transformers-*.safetensors")):
        weights = load_file(path)
        if any(weight.dtype == torch.bfloat16 for weight in weights.values()):
            wide = {name: weight.float() for name, weight in weights.items()}
            save_file(wide, path, metadata={"format": "pt"})


def _write_twice(folder: Path, files: dict[str, str]) -> None:
    """What two parts of the model share is in the published files under both names."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415  # only where the extra is installed

    known, other = "depth_decoder.model.embed_tokens.weight", "backbone_model.embed_tokens.embed_audio_tokens.weight"
    path = folder / files[known]
    weights = load_file(path)
    save_file({**weights, other: weights[known].clone()}, path, metadata={"format": "pt"})
    files[other] = files[known]
