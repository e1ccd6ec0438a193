"""A tiny CSM with random weights, and LoRA adapters of it, in the files in which the real ones are published.

It says noise, at a voice's level. It never ends by itself: a pack's `longest_char_ms` gives it speech's pace.
"""

import json
from pathlib import Path
from typing import Any, Final

CODEBOOKS: Final = 8
ENTRIES: Final = 64
OPTIONS: Final = {"longest_char_ms": 36, "longest_extra_ms": 0}
CHAT: Final = (
    "{%- for m in messages %}{{- bos_token + '[' + m['role'] + ']' }}{%- for c in m['content'] %}"
    "{%- if c['type'] == 'text' %}{{- c['text'] + '<|end_of_text|>' }}"
    "{%- elif c['type'] == 'audio' %}{{- '<|AUDIO|><|audio_eos|>' }}{%- endif %}{%- endfor %}{%- endfor %}"
)
"""As in the real `chat_template.jinja`: whose turn, what is said, and how it sounded."""
_TARGETS: Final = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""Which layers Unsloth adapts."""
_LOUDER: Final = 0.1
"""RMS of what the codec gives out, at full scale 1."""
_METADATA: Final = """\
family: csm
model_id: {model}
title: Tiny CSM with random weights
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


def build_csm(folder: Path) -> Path:
    """Write the files, weights in two parts under an index, as `sesame/csm-1b` has them."""
    import torch  # noqa: PLC0415  # only where the extra is installed
    from transformers import CsmForConditionalGeneration  # noqa: PLC0415  # as above

    processor = _processor()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = CsmForConditionalGeneration(_config(processor.tokenizer))
        _make_audible(model)
    model.generation_config.update(do_sample=True, temperature=0.9, max_new_tokens=125, use_cache=True)
    model.depth_decoder.generation_config.update(
        do_sample=True, temperature=0.9, min_new_tokens=CODEBOOKS - 1, max_new_tokens=CODEBOOKS - 1
    )
    model.save_pretrained(folder, max_shard_size="700KB")
    processor.save_pretrained(folder)
    _name_as_published(folder)
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


def _processor() -> Any:
    from tokenizers import (  # noqa: PLC0415  # only where the extra is installed
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import (  # noqa: PLC0415  # as above
        CsmProcessor,
        EncodecFeatureExtractor,
        PreTrainedTokenizerFast,
    )

    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>"]
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokens.train_from_iterator(["[0]Hello from a tiny model. This is a test"], trainer)
    tokens.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A {special[1]}", special_tokens=[(special[0], 0), (special[1], 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        bos_token=special[0],
        eos_token=special[1],
        pad_token=special[1],
        audio_token=special[2],
        audio_eos_token=special[3],
    )
    sound = EncodecFeatureExtractor(feature_size=1, sampling_rate=24_000)
    return CsmProcessor(feature_extractor=sound, tokenizer=tokenizer, chat_template=CHAT)


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
        codes = torch.randint(1, ENTRIES, (1, CODEBOOKS, 50))
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
        "transformers_weights": "transformers.safetensors.index.json"
    }
    config.write_text(json.dumps(described), encoding="utf-8")


def _write_twice(folder: Path, files: dict[str, str]) -> None:
    """What two parts of the model share is in the published files under both names."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415  # only where the extra is installed

    known, other = "depth_decoder.model.embed_tokens.weight", "backbone_model.embed_tokens.embed_audio_tokens.weight"
    path = folder / files[known]
    weights = load_file(path)
    save_file({**weights, other: weights[known].clone()}, path, metadata={"format": "pt"})
    files[other] = files[known]
