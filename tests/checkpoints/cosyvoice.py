"""A tiny CosyVoice 2 with random weights, in the files and the layout that the real one is published in.

It says noise, at a voice's level: about two speech tokens (80 ms) for each letter.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from adapters.tts.cosyvoice_code import find_code

SAID: Final = "this is the voice to imitate."
METADATA: Final = """\
family: cosyvoice2
model_id: {model}
title: Tiny CosyVoice 2 with random weights
languages: [zh, en, ja, ko]
sample_rate: 24000
tags: [zero_shot]
licence: Apache-2.0
memory_mb: 200
options: {options}
{reference}
source:
  files:
    - {{path: cosyvoice2.yaml, as: config}}
    - {{path: llm.pt, as: language_model}}
    - {{path: flow.pt, as: flow}}
    - {{path: hift.pt, as: vocoder}}
    - {{path: campplus.onnx, as: speaker_encoder}}
    - {{path: speech_tokenizer_v2.onnx, as: speech_tokenizer}}
    - path: CosyVoice-BlankEN/config.json
    - path: CosyVoice-BlankEN/model.safetensors
"""
CONFIG: Final = """\
# seeds, as the published file has them
__set_seed1: !apply:random.seed [1986]
__set_seed2: !apply:numpy.random.seed [1986]
__set_seed3: !apply:torch.manual_seed [1986]

# fixed params
sample_rate: 24000
llm_input_size: 64
llm_output_size: 64
spk_embed_dim: 192
qwen_pretrain_path: ''
token_frame_rate: 25
token_mel_ratio: 2

# stream related params
chunk_size: 25 # in tokens
num_decoding_left_chunks: -1 # all of them

llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: 6561
    length_normalized_loss: True
    lsm_weight: 0
    mix_ratio: [5, 15]
    llm: !new:cosyvoice.llm.llm.Qwen2Encoder
        pretrain_path: !ref <qwen_pretrain_path>
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
        top_k: 25
        win_size: 10
        tau_r: 0.1

flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: 512
    output_size: 80
    spk_embed_dim: !ref <spk_embed_dim>
    output_type: 'mel'
    vocab_size: 6561
    input_frame_rate: !ref <token_frame_rate>
    only_mask_loss: True
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: 3
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: 512
        attention_heads: 8
        linear_units: 64
        num_blocks: 1
        dropout_rate: 0.1
        positional_dropout_rate: 0.1
        attention_dropout_rate: 0.1
        normalize_before: True
        input_layer: 'linear'
        pos_enc_layer_type: 'rel_pos_espnet'
        selfattention_layer_type: 'rel_selfattn'
        input_size: 512
        use_cnn_module: False
        macaron_style: False
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1e-06
                solver: 'euler'
                t_scheduler: 'cosine'
                training_cfg_rate: 0.2
                inference_cfg_rate: 0.7
                reg_loss_type: 'l1'
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: 320
            out_channels: 80
            channels: [32]
            dropout: 0.0
            attention_head_dim: 16
            n_blocks: 1
            num_mid_blocks: 1
            num_heads: 2
            act_fn: 'gelu'
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>

hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: 32
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: 0.1
    nsf_sigma: 0.003
    nsf_voiced_threshold: 10
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params:
        n_fft: 16
        hop_len: 4
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    lrelu_slope: 0.1
    audio_limit: 0.99
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: 16

# what only training needs, and what nobody has who only speaks
hifigan: !new:cosyvoice.hifigan.hifigan.HiFiGan
    generator: !ref <hift>
    discriminator: !new:a_package_for_training.Discriminator
    mel_spec_transform: [
        !ref <mel_spec_transform1>
    ]

parquet_opener: !name:a_package_for_training.parquet_opener
get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
    token_path: !ref <qwen_pretrain_path>
    skip_special_tokens: True
allowed_special: 'all'
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
    n_fft: 1920
    num_mels: 80
    sampling_rate: !ref <sample_rate>
    hop_size: 480
    win_size: 1920
    fmin: 0
    fmax: 8000
    center: False

data_pipeline: [
    !ref <parquet_opener>,
]

train_conf:
    optim: adam
"""
_END: Final = 4.4
"""Of the logit of the end: it comes soon after the shortest length that the library allows."""


def build_cosyvoice(folder: Path) -> Path:
    """Write the files, as FunAudioLLM publishes CosyVoice2-0.5B."""
    import torch  # noqa: PLC0415  # only where the extra is installed

    from adapters.tts.cosyvoice_files import spoken_part  # noqa: PLC0415  # as above

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cosyvoice2.yaml").write_text(CONFIG, encoding="utf-8")
    code = find_code()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        blank = _blank_language_model(folder / "CosyVoice-BlankEN")
        parts = code.load_yaml(spoken_part(CONFIG), overrides={"qwen_pretrain_path": str(blank)})
        for name in ("llm", "flow", "hift"):
            parts[name].float()
    with torch.no_grad():
        bias = parts["llm"].llm_decoder.bias.zero_()
        bias[6561], bias[6562:] = _END, -30.0
    torch.save(parts["llm"].state_dict(), folder / "llm.pt")
    torch.save(parts["flow"].state_dict(), folder / "flow.pt")
    torch.save({f"generator.{key}": t for key, t in parts["hift"].state_dict().items()}, folder / "hift.pt")
    _speaker_encoder(folder / "campplus.onnx")
    _speech_tokenizer(folder / "speech_tokenizer_v2.onnx")
    return folder


def write_pack(folder: Path, *, model: str = "cosyvoice-tiny", seed: bool = True, **options: Any) -> Path:
    """The metadata beside the files, and a recording to imitate."""
    reference = ""
    if seed:
        (folder / "ref").mkdir(exist_ok=True)
        soundfile.write(folder / "ref" / "seed.wav", recording(), 24_000, subtype="PCM_16")
        reference = f"reference: {{audio: ref/seed.wav, text: {SAID}}}"
    content = METADATA.format(model=model, options=json.dumps(options), reference=reference)
    (folder / "metadata.yaml").write_text(content, encoding="utf-8")
    return folder


def recording(seconds: float = 2.3, *, pitch_hz: float = 140.0, rate: int = 24_000) -> np.ndarray[Any, Any]:
    """A hum that swells and fades like syllables do."""
    time = np.arange(int(seconds * rate)) / rate
    hum = sum(np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12))
    return (0.1 * hum * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def _blank_language_model(folder: Path) -> Path:
    """Letters for tokens; in the precision of the published one, which nothing else of it has."""
    import torch  # noqa: PLC0415  # as above
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415  # as above
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM  # noqa: PLC0415  # as above

    letters = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab={**letters, "<|endoftext|>": len(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, pad_token=end).save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def _speaker_encoder(path: Path) -> None:
    """Filter banks [batch, frames, 80] to [batch, 192]."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  # as above

    weights = np.random.default_rng(0).normal(size=(80, 192)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["output"]),
    ]
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["B", "T", 80])
    given = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["B", 192])
    _save(helper.make_graph(nodes, "campplus", [taken], [given], [numpy_helper.from_array(weights, "weights")]), path)


def _speech_tokenizer(path: Path) -> None:
    """Mel [batch, 128, frames at 100 a second] and their number to tokens [batch, 25 a second]."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  # as above

    nodes = [
        helper.make_node("AveragePool", ["feats"], ["pooled"], kernel_shape=[4], strides=[4]),
        helper.make_node("ReduceMean", ["pooled"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
        helper.make_node("Abs", ["scaled"], ["positive"]),
        helper.make_node("Cast", ["positive"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Mod", ["whole", "size"], ["token"]),
        helper.make_node("Cast", ["feats_length"], ["length"], to=TensorProto.INT32),
        helper.make_node("Sub", ["length", "length"], ["nothing"]),
        helper.make_node("Add", ["token", "nothing"], ["indices"]),
    ]
    taken = [
        helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", 128, "T"]),
        helper.make_tensor_value_info("feats_length", TensorProto.INT32, ["B"]),
    ]
    given = [helper.make_tensor_value_info("indices", TensorProto.INT32, ["B", "N"])]
    constants = [numpy_helper.from_array(np.array(9973.0, np.float32), "scale")]
    constants.append(numpy_helper.from_array(np.array(6561, np.int32), "size"))
    _save(helper.make_graph(nodes, "speech_tokenizer_v2", taken, given, constants), path)


def _save(graph: Any, path: Path) -> None:
    import onnx  # noqa: PLC0415  # as above

    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), str(path))
