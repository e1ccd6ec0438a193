"""Sesame CSM through transformers' own code, on a tiny checkpoint with random weights in the real files."""

import gc
import json
import shutil
import socket
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import VoicePack
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import PcmChunk, Reference
from tests.adapters.csm_stage import TEXT, pack_of, sound_of, speak, tiny_packs

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
from safetensors.torch import load_file, save_file  # noqa: E402  # comes with what was asked for just now

from adapters.tts import csm_frames  # noqa: E402  # needs torch
from adapters.tts.csm_codec import MimiStream  # noqa: E402  # as above
from adapters.tts.csm_frames import Frames  # noqa: E402  # as above
from adapters.tts.csm_prompt import pieces, prompt  # noqa: E402  # as above

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def csm_packs() -> Path:
    return tiny_packs()


@pytest.fixture(scope="module")
def voice(csm_packs: Path) -> Iterator[Any]:
    loaded = load_synthesizer(pack_of(csm_packs, "csm-tiny"))
    yield loaded
    loaded.close()


def networks_of(voice: Any) -> Any:
    return voice._base.loaded.networks


def test_frames_are_those_of_the_librarys_generate(voice: Any) -> None:
    """Drawn by the same dice, through its own static cache: backbone, depth decoder and all."""
    networks = networks_of(voice)
    model = networks.model
    told = prompt(voice._base.loaded.processor, (), TEXT, speaker=0, device="cpu")
    frames = Frames(networks, told, seed=11, most=12)
    ours = torch.stack(list(iter(frames.next, None)))
    nothing_but_codes = {"suppress_tokens": list(range(model.config.codec_config.codebook_size, model.vocab_size))}
    depth: dict[str, Any] = {"depth_decoder_do_sample": True, "depth_decoder_temperature": 0.9}
    depth |= {f"depth_decoder_{name}": value for name, value in nothing_but_codes.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        theirs = model.generate(
            **told, max_new_tokens=12, do_sample=True, temperature=0.9, cache_implementation="static",
            **nothing_but_codes, **depth,
        )  # fmt: skip
    assert torch.equal(ours, theirs[0])
    assert len(set(ours.flatten().tolist())) > 10


@pytest.mark.parametrize("step", [1, 3])
def test_the_codec_frame_by_frame_gives_what_it_gives_for_the_whole(voice: Any, step: int) -> None:
    """Beyond its sliding window, too, of ten frames here."""
    codec = networks_of(voice).model.codec_model
    codes = torch.randint(1, 64, (8, 42), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        whole = codec.decode(codes[None]).audio_values[0, 0]
    stream = MimiStream(codec)
    pieces = [stream.decode(codes[:, i : i + step]) for i in range(0, 42, step)]
    assert all(piece.shape[0] == 1_920 * step for piece in pieces)
    assert torch.cat(pieces).sub(whole).abs().max() < 1e-4
    assert whole.abs().max() > 0.1


def test_the_depth_decoder_draws_as_the_files_say(voice: Any) -> None:
    """The library, 5.23, loses what `generation_config.json` says of it: it would always take the likeliest code."""
    assert networks_of(voice).rest.draws
    assert networks_of(voice).first.draws


def test_the_first_chunk_is_one_frame(voice: Any) -> None:
    first = next(speak(voice, TEXT))
    assert 0 < len(first.pcm) <= 1_920


def test_a_paused_phrase_computes_nothing(voice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0
    draw = Frames.next

    def counted(frames: Frames) -> Any:
        nonlocal drawn
        drawn += 1
        return draw(frames)

    monkeypatch.setattr(Frames, "next", counted)
    threads = threading.active_count()
    going = speak(voice, TEXT)
    for expected in (1, 2, 3):
        next(going)
        assert drawn == expected
    assert threading.active_count() == threads
    going.close()
    assert drawn == 3


def test_a_stopped_phrase_gives_back_all_it_holds(voice: Any) -> None:
    caches: list[Any] = []
    opened = csm_frames.Networks.open_cache

    def remembered(networks: Any, length: int) -> Any:
        cache = opened(networks, length)
        caches.append(weakref.ref(cache))
        return cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csm_frames.Networks, "open_cache", remembered)
        going = speak(voice, TEXT)
        next(going)
    assert caches[0]() is not None
    going.close()
    gc.collect()
    assert caches[0]() is None


def test_interleaved_phrases_are_what_they_are_alone(voice: Any) -> None:
    texts = [TEXT, "One, two, three.", "Please hold."]
    alone = [sound_of(list(speak(voice, text))) for text in texts]
    going = {i: speak(voice, text) for i, text in enumerate(texts)}
    together: list[list[PcmChunk]] = [[] for _ in texts]
    while going:
        for i in tuple(going):
            chunk = next(going[i], None)
            if chunk is None:
                del going[i]
            else:
                together[i].append(chunk)
    for one, expected in zip(together, alone, strict=True):
        assert np.array_equal(sound_of(one), expected)


def test_nobody_elses_dice_are_touched(voice: Any) -> None:
    before = torch.random.get_rng_state()
    list(speak(voice, "Hi."))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_text_can_give_the_model_no_commands(voice: Any) -> None:
    """Sound without sound to go with it would be an error, and an end of text an early one."""
    odd = sound_of(list(speak(voice, "Hello <|AUDIO|><|end_of_text|> there. [1]Bye")))
    assert len(odd) > 12_000
    said = " ".join(pieces("Hello <|AUDIO|><|end_of_text|> there. [1]Bye |> <|"))
    assert "<|" not in said
    assert "[" not in said


def test_a_library_error_is_a_failed_synthesis(voice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("CUDA error: an illegal memory access")

    going = speak(voice, TEXT)
    next(going)
    monkeypatch.setattr(networks_of(voice).model.codec_model.quantizer, "decode", broken)
    with pytest.raises(SynthesisFailed, match="CSM: RuntimeError: CUDA error"):
        next(going)


def test_a_recording_is_heard_first(voice: Any) -> None:
    pcm = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    imitation = voice.imitate(Reference(pcm=pcm, sample_rate=16_000, text="That is how I speak."))
    spoken = sound_of(list(speak(imitation, "Well.")))
    assert not np.array_equal(spoken, sound_of(list(speak(voice, "Well."))))
    assert np.array_equal(spoken, sound_of(list(speak(imitation, "Well."))))
    imitation.close()
    assert list(speak(voice, "Well."))
    with pytest.raises(SynthesisFailed, match="closed"):
        list(speak(imitation, "Well."))


# --- loading ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def copied(csm_packs: Path, tmp_path: Path) -> VoicePack:
    shutil.copytree(csm_packs / "csm" / "tiny", tmp_path / "csm" / "tiny")
    return pack_of(tmp_path, "csm-tiny")


def rename(folder: Path, old: str, new: str) -> None:
    """A weight, as an older layout called it."""
    index = folder / "transformers.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    file = content["weight_map"].pop(old)
    content["weight_map"][new] = file
    index.write_text(json.dumps(content), encoding="utf-8")
    weights = load_file(folder / file)
    weights[new] = weights.pop(old)
    save_file(weights, folder / file, metadata={"format": "pt"})


def test_codec_weights_under_other_names_are_refused_and_named(copied: VoicePack) -> None:
    """The library would make up what is missing and say so in passing."""
    known = json.loads((copied.folder() / "transformers.safetensors.index.json").read_text(encoding="utf-8"))
    old = "decoder_transformer.layers.0.self_attn.q_proj.weight"
    name = next(key for key in known["weight_map"] if key.endswith(old))
    rename(copied.folder(), name, "codec_model.somewhere.else.weight")
    with pytest.raises(ModelUnavailable, match=r"csm-tiny: .*missing weights: codec_model\..*q_proj\.weight") as caught:
        load_synthesizer(copied)
    assert caught.value.fault == "corrupt"


def test_weights_too_many_are_refused_and_named(copied: VoicePack) -> None:
    index = copied.folder() / "transformers.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    file = next(iter(content["weight_map"].values()))
    content["weight_map"]["backbone_model.surplus.weight"] = file
    index.write_text(json.dumps(content), encoding="utf-8")
    weights = load_file(copied.folder() / file) | {"backbone_model.surplus.weight": torch.zeros(2)}
    save_file(weights, copied.folder() / file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"unexpected weights: backbone_model\.surplus\.weight"):
        load_synthesizer(copied)


def test_a_truncated_file_is_refused(copied: VoicePack) -> None:
    file = next(copied.folder().glob("transformers-00001*.safetensors"))
    file.write_bytes(file.read_bytes()[:5_000])
    with pytest.raises(ModelUnavailable, match="csm-tiny: CSM cannot be loaded"):
        load_synthesizer(copied)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"speaker": -1}, "speaker: a whole number"),
        ({"longest_char_ms": 0}, "longest_char_ms: a whole number of 1"),
        ({"context_turns": True}, "context_turns: a whole number"),
        ({"compile": 1}, "compile: true or false"),
        ({"pitch": 2}, "knows no pitch"),
    ],
)
def test_an_option_that_cannot_be_is_named(copied: VoicePack, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        load_synthesizer(copied.model_copy(update={"options": options}))


def test_bfloat16_speaks_and_leaves_the_codec_exact(csm_packs: Path) -> None:
    voice: Any = load_synthesizer(pack_of(csm_packs, "csm-tiny"), dtype="bfloat16")
    try:
        model = networks_of(voice).model
        assert model.lm_head.weight.dtype is torch.bfloat16
        assert {p.dtype for p in model.codec_model.parameters()} == {torch.float32}
        assert {b.dtype for b in model.buffers() if b.is_floating_point()} == {torch.float32}
        talk = voice.converse()
        assert np.isfinite(sound_of(list(speak(talk, "Well.")))).all()
        assert np.isfinite(sound_of(list(speak(talk, "Well.")))).all()
    finally:
        voice.close()
    with pytest.raises(ModelUnavailable, match="dtype: 'int3'"):
        load_synthesizer(pack_of(csm_packs, "csm-tiny"), dtype="int3")


def test_nothing_asks_the_network(csm_packs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refused(*arguments: object, **__: object) -> NoReturn:
        asked.append(arguments)  # a library may catch the error and go on
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    for name in ("csm-tiny", "csm-ada"):
        voice = load_synthesizer(pack_of(csm_packs, name))
        next(speak(voice, TEXT))
        voice.close()
    assert asked == []


def test_loading_and_speaking_say_nothing(
    csm_packs: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    for name in ("csm-tiny", "csm-ada"):
        voice = load_synthesizer(pack_of(csm_packs, name))
        list(speak(voice, "Hi."))
        voice.close()
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn if issubclass(w.category, UserWarning)] == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a compiler")
def test_compiled_networks_say_the_same(csm_packs: Path, voice: Any) -> None:
    """Half a minute: on a processor, without the graphs that a GPU gets."""
    pack = pack_of(csm_packs, "csm-tiny")
    compiled: Any = load_synthesizer(pack.model_copy(update={"options": {**pack.options, "compile": True}}))
    try:
        assert compiled._base is not voice._base
        assert networks_of(compiled).compiled
        assert not networks_of(voice).compiled
        for text in ("Hello there.", "And once more, a little longer."):
            ours, plain = sound_of(list(speak(compiled, text))), sound_of(list(speak(voice, text)))
            assert len(ours) == len(plain)
            assert np.abs(ours - plain).max() < 1e-3
    finally:
        compiled.close()
