"""A CosyVoice 2 with random weights, in the files and the layout that the real one is published in.

It says noise, at a voice's level: about two speech tokens (80 ms) for each letter.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from adapters.tts.cosyvoice_code import find_code
from tests.checkpoints.cosyvoice_config import QWEN, config
from tests.checkpoints.sizes import Size

SAID: Final = "this is the voice to imitate."
METADATA: Final = """\
family: cosyvoice2
model_id: {model}
title: CosyVoice 2 with random weights
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
_END: Final = 4.4
"""Of the logit of the end: it comes soon after the shortest length that the library allows."""


def build_cosyvoice(folder: Path, *, size: Size = "tiny") -> Path:
    """Write the files, as FunAudioLLM publishes CosyVoice2-0.5B.

    What learns a voice from a recording stays tiny.
    """
    import torch  # noqa: PLC0415  # only where the extra is installed

    from adapters.tts.cosyvoice_files import spoken_part  # noqa: PLC0415  # as above

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cosyvoice2.yaml").write_text(config(size), encoding="utf-8")
    code = find_code()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        blank = _blank_language_model(folder / "CosyVoice-BlankEN", size)
        parts = code.load_yaml(spoken_part(config(size)), overrides={"qwen_pretrain_path": str(blank)})
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


def _blank_language_model(folder: Path, size: Size) -> Path:
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
    described = Qwen2Config(tie_word_embeddings=True, **QWEN[size])
    Qwen2ForCausalLM(described).to(torch.bfloat16).save_pretrained(folder)
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
