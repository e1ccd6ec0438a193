"""LoRA adapters of one CSM, as Unsloth writes them, through peft's own code: one base in memory for all."""

import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.tts.loading import load_synthesizer
from adapters.tts.turnstile import Turnstile
from protocol.errors import ModelUnavailable
from protocol.ports import Pcm
from tests.adapters.csm_stage import TEXT, pack_of, sound_of, speak, tiny_packs

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
from safetensors.torch import load_file, save_file  # noqa: E402  # comes with what was asked for just now

from adapters.tts.csm_base import resident_bases  # noqa: E402  # needs torch

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

NAMES = ("csm-tiny", "csm-ada", "csm-ben")


@pytest.fixture(scope="module")
def packs() -> Path:
    return tiny_packs()


@pytest.fixture
def voices(packs: Path) -> Iterator[dict[str, Any]]:
    """The base and two adapters of it, loaded one after another."""
    loaded: dict[str, Any] = {name: load_synthesizer(pack_of(packs, name)) for name in NAMES}
    yield loaded
    for voice in loaded.values():
        voice.close()


def said(voice: Any, text: str = TEXT) -> Pcm:
    return sound_of(list(speak(voice, text)))


def test_each_adapter_sounds_different_and_switching_back_reproduces(voices: dict[str, Any]) -> None:
    base, ada, ben = (said(voices[name]) for name in NAMES)
    assert not np.array_equal(ada, ben)
    assert not np.array_equal(ada, base)
    assert not np.array_equal(ben, base)
    for name, before in (("csm-ada", ada), ("csm-tiny", base), ("csm-ben", ben), ("csm-ada", ada)):
        assert np.array_equal(said(voices[name]), before)


def test_an_adapter_sounds_as_peft_itself_makes_it_sound(packs: Path, voices: dict[str, Any]) -> None:
    """Frame for frame, with peft's wrapper around a base of its own and the library's `generate`."""
    from peft import PeftModel  # noqa: PLC0415  # an extra
    from transformers import CsmForConditionalGeneration  # noqa: PLC0415  # as above

    from adapters.tts.csm_frames import Frames  # noqa: PLC0415  # needs torch
    from adapters.tts.csm_prompt import prompt  # noqa: PLC0415  # as above

    ada = voices["csm-ada"]
    loaded = ada._base.loaded
    told = prompt(loaded.processor, (), TEXT, speaker=0, device="cpu")
    frames = Frames(loaded.networks, told, seed=4, most=8)
    ours = []
    for _ in range(8):
        with ada._base.speaking(ada._adapter):
            ours.append(frames.next())
    alone = CsmForConditionalGeneration.from_pretrained(packs / "csm" / "tiny", local_files_only=True).eval()
    wrapped = PeftModel.from_pretrained(alone, packs / "csm" / "ada")
    codes_only = list(range(64, 67))
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(4)
        theirs = wrapped.generate(
            **told, max_new_tokens=8, do_sample=True, temperature=0.9, suppress_tokens=codes_only,
            depth_decoder_do_sample=True, depth_decoder_temperature=0.9, depth_decoder_suppress_tokens=codes_only,
        )  # fmt: skip
    assert torch.equal(torch.stack(ours), theirs[0])


def test_phrases_of_different_adapters_alternate_without_mixing(voices: dict[str, Any]) -> None:
    alone = {name: said(voices[name]) for name in NAMES}
    going = {name: speak(voices[name], TEXT) for name in NAMES}
    together: dict[str, list[Any]] = {name: [] for name in NAMES}
    while going:
        for name in tuple(going):
            chunk = next(going[name], None)
            if chunk is None:
                del going[name]
            else:
                together[name].append(chunk)
    for name in NAMES:
        assert np.array_equal(sound_of(together[name]), alone[name])


def test_voices_on_threads_of_their_own_share_the_base_in_turn(voices: dict[str, Any]) -> None:
    """As actors do: each voice is one. What they say is what they say alone."""
    alone = {name: said(voices[name]) for name in NAMES}
    spoken: dict[str, Pcm] = {}
    threads = [
        threading.Thread(target=lambda name=name: spoken.update({name: said(voices[name])}), name=name)
        for name in NAMES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in NAMES:
        assert np.array_equal(spoken[name], alone[name])
    assert voices["csm-ada"].waiting == 0


def test_a_voice_can_be_loaded_and_unloaded_while_another_speaks(packs: Path, voices: dict[str, Any]) -> None:
    whole = said(voices["csm-ada"])
    voices.pop("csm-ben").close()
    going = speak(voices["csm-ada"], TEXT)
    chunks = [next(going)]
    ben = load_synthesizer(pack_of(packs, "csm-ben"))
    chunks.append(next(going))
    ben.close()
    chunks += list(going)
    assert np.array_equal(sound_of(chunks), whole)


def test_a_switch_takes_milliseconds_and_reads_no_file(voices: dict[str, Any]) -> None:
    base = voices["csm-tiny"]._base
    names = [voices[name]._adapter for name in NAMES]
    times = []
    for i in range(30):
        began = time.perf_counter()
        with base.speaking(names[i % 3]):
            times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 0.05


# --- memory ----------------------------------------------------------------------------------------------------------
def test_there_is_one_base_and_it_goes_with_its_last_user(packs: Path) -> None:
    gc.collect()
    before = resident_bases()
    ada: Any = load_synthesizer(pack_of(packs, "csm-ada"))
    weight = weakref.ref(ada._base.loaded.networks.model)
    tiny: Any = load_synthesizer(pack_of(packs, "csm-tiny"))
    assert tiny._base is ada._base
    assert (ada.brought_base, tiny.brought_base) == (True, False)
    assert ada._base.users == 2
    assert resident_bases() == before + 1
    tiny.close()
    tiny.close()  # harmless when repeated
    assert list(speak(ada, "Hi."))
    ada.close()
    gc.collect()
    assert resident_bases() == before
    assert weight() is None


def test_an_adapter_takes_its_own_memory_only_and_gives_it_back(packs: Path, voices: dict[str, Any]) -> None:
    model = voices["csm-tiny"]._base.loaded.networks.model

    def held() -> int:
        return sum(p.numel() * p.element_size() for p in model.parameters())

    voices.pop("csm-ben").close()
    without = held()
    again = load_synthesizer(pack_of(packs, "csm-ben"))
    own = sum(tensor.nbytes for tensor in load_file(packs / "csm" / "ben" / "adapter_model.safetensors").values())
    assert held() - without == own
    again.close()
    assert held() == without


# --- what is refused -------------------------------------------------------------------------------------------------
@pytest.fixture
def copied(packs: Path, tmp_path: Path) -> Path:
    shutil.copytree(packs, tmp_path, dirs_exist_ok=True)
    return tmp_path


def change(folder: Path, **changes: Any) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    for name, tensor in changes.items():
        if tensor is None:
            del weights[name]
        else:
            weights[name] = tensor
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def test_wrong_weights_are_refused_and_leave_the_base_as_it_was(copied: Path) -> None:
    tiny = load_synthesizer(pack_of(copied, "csm-tiny"))
    before = said(tiny)
    name = "base_model.model.backbone_model.layers.0.self_attn.q_proj.lora_A.weight"
    change(copied / "csm" / "ada", **{name: None})
    with pytest.raises(
        ModelUnavailable, match=r"csm-ada: ada: missing weights: backbone_model\.layers\.0\.self_attn\.q"
    ):
        load_synthesizer(pack_of(copied, "csm-ada"))
    change(copied / "csm" / "ada", **{name: torch.zeros(4, 64), "surplus.lora_A.weight": torch.zeros(1)})
    with pytest.raises(ModelUnavailable, match=r"unexpected weights: surplus\.lora_A\.weight"):
        load_synthesizer(pack_of(copied, "csm-ada"))
    change(copied / "csm" / "ada", **{name: torch.zeros(5, 64), "surplus.lora_A.weight": None})
    with pytest.raises(ModelUnavailable, match=r"csm-ada: CSM cannot be loaded: .*size mismatch"):
        load_synthesizer(pack_of(copied, "csm-ada"))
    ben = load_synthesizer(pack_of(copied, "csm-ben"))
    assert not np.array_equal(said(ben), before)
    assert np.array_equal(said(tiny), before)
    ben.close()
    tiny.close()


def test_an_adapter_that_was_trained_with_an_older_library_is_taken(copied: Path, packs: Path) -> None:
    """It calls the codec's layers otherwise, as the published weights of the base do."""
    new = load_synthesizer(pack_of(packs, "csm-ada"))
    file = copied / "csm" / "ada" / "adapter_model.safetensors"
    now, then = "codec_model.decoder.decoder_transformer.", "codec_model.decoder_transformer."
    weights = {key.replace(now, then): tensor for key, tensor in load_file(file).items()}
    assert any(then in key for key in weights)
    save_file(weights, file, metadata={"format": "pt"})
    old = load_synthesizer(pack_of(copied, "csm-ada"))
    assert np.array_equal(said(old), said(new))
    old.close()
    new.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "peft_type is 'PREFIX_TUNING', LORA is wanted"),
        ({"target_modules": ["nothing_of_the_kind"]}, "CSM cannot be loaded: .*nothing_of_the_kind"),
    ],
)
def test_another_kind_of_adapter_is_refused(copied: Path, changes: dict[str, Any], reason: str) -> None:
    config = copied / "csm" / "ada" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    bases = resident_bases()
    with pytest.raises(ModelUnavailable, match=reason):
        load_synthesizer(pack_of(copied, "csm-ada"))
    assert resident_bases() == bases


def test_a_base_that_is_not_here_is_named(copied: Path) -> None:
    ada = pack_of(copied, "csm-ada")
    (copied / "csm" / "tiny" / "config.json").unlink()
    with pytest.raises(ModelUnavailable, match="csm-ada: its base csm-tiny: ") as caught:
        load_synthesizer(ada)
    assert caught.value.fault == "missing"


def test_what_is_up_to_the_base_is_refused_in_an_adapter(packs: Path) -> None:
    ada = pack_of(packs, "csm-ada").model_copy(update={"options": {"compile": True}})
    with pytest.raises(ModelUnavailable, match="csm-ada: options: compile: is up to the base, csm-tiny"):
        load_synthesizer(ada)


# --- who is next -----------------------------------------------------------------------------------------------------
def test_who_asked_first_is_served_first() -> None:
    turnstile, served, entered = Turnstile(), [], []

    def visit(number: int) -> None:
        with turnstile:
            served.append(number)

    with turnstile:
        for number in range(5):
            thread = threading.Thread(target=visit, args=(number,))
            thread.start()
            entered.append(thread)
            while turnstile.waiting <= number:  # it stands in the queue in a moment
                time.sleep(0)
        assert turnstile.waiting == 5
    for thread in entered:
        thread.join(timeout=10)
    assert served == [0, 1, 2, 3, 4]
    assert turnstile.waiting == 0
