"""XTTS through the library's real code, on a tiny model in the files of the real one. The rest is the contract's."""

import hashlib
import os
import socket
import time
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("TTS", reason="XTTS is an extra")
import torch  # only where the extra is installed

from adapters.tts.loading import load_synthesizer
from adapters.tts.xtts import XttsSynthesizer
from adapters.tts.xtts_latents import latents_of
from adapters.tts.xtts_sound import WindowedVocoder
from adapters.voicepacks import VoicePack, find_packs
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import Cloner, Pcm, Reference
from tests.checkpoints.xtts import CHANNELS, SPEAKERS, build_xtts, recording, write_pack

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

TEXT = "Hello there, this is a small test."
OTHER = "And now for something else."


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_xtts(tmp_path_factory.mktemp("xtts") / "built")


def a_pack(built: Path, folder: Path, *, seed: bool = False, **options: Any) -> VoicePack:
    """The same files in a pack of its own."""
    home = folder / "packs" / "xtts" / "tiny"
    home.mkdir(parents=True)
    for file in built.iterdir():
        os.link(file, home / file.name)
    write_pack(home, seed=seed, **options)
    (pack,) = find_packs(folder / "packs").good
    return pack


def opened(pack: VoicePack, cache: Path, **place: Any) -> XttsSynthesizer:
    voice = load_synthesizer(pack, cache=cache, **place)
    assert isinstance(voice, XttsSynthesizer)
    return voice


@pytest.fixture(scope="module")
def voice(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[XttsSynthesizer]:
    folder = tmp_path_factory.mktemp("voice")
    voice = opened(a_pack(built, folder), folder / "cache")
    yield voice
    voice.close()


def said(voice: Any, text: str = TEXT, *, language: str = "en", speed: float = 1.0) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in voice.synthesize(text, language=language, speed=speed)])


def rewritten(pack: VoicePack, change: Any) -> VoicePack:
    """With other weights; the file is shared with other packs and not written into."""
    path = pack.file("weights")
    with torch.serialization.safe_globals(known_to_the_library()):
        content = torch.load(path, weights_only=False)
    change(content["model"])
    path.unlink()
    torch.save({"model": content["model"]}, path)
    return pack


def known_to_the_library() -> list[Any]:
    from TTS.tts.configs.xtts_config import XttsConfig  # noqa: PLC0415  # for this alone

    return [XttsConfig]


# --- files -----------------------------------------------------------------------------------------------------------
def test_the_weights_are_left_as_they_are(built: Path, tmp_path: Path) -> None:
    """The library's own loader writes the published checkpoint anew, in place."""
    before = hashlib.sha256((built / "model.pth").read_bytes()).hexdigest()
    opened(a_pack(built, tmp_path), tmp_path / "cache").close()
    assert hashlib.sha256((built / "model.pth").read_bytes()).hexdigest() == before


def test_missing_and_unknown_weights_are_named(built: Path, tmp_path: Path) -> None:
    def change(state: dict[str, Any]) -> None:
        state["gpt.mel_head.wait"] = state.pop("gpt.mel_head.weight")
        del state["hifigan_decoder.speaker_encoder.fc.weight"]

    pack = rewritten(a_pack(built, tmp_path), change)
    with pytest.raises(ModelUnavailable) as raised:
        opened(pack, tmp_path / "cache")
    assert raised.value.fault == "corrupt"
    reason = str(raised.value)
    assert "2 keys are missing: gpt.mel_head.weight, hifigan_decoder.speaker_encoder.fc.weight" in reason
    assert "1 keys are unknown: gpt.mel_head.wait" in reason


def test_weights_of_another_shape_are_refused(built: Path, tmp_path: Path) -> None:
    pack = rewritten(a_pack(built, tmp_path), lambda state: state.update(mel_stats=torch.ones(81)))
    with pytest.raises(ModelUnavailable, match="mel_stats"):
        opened(pack, tmp_path / "cache")


def test_what_only_training_needs_is_passed_over(built: Path, tmp_path: Path) -> None:
    def change(state: dict[str, Any]) -> None:
        for key in list(state):
            state[f"xtts.{key}"] = state.pop(key)
        state["xtts.dvae.codebook"] = torch.ones(1)

    opened(rewritten(a_pack(built, tmp_path), change), tmp_path / "cache").close()


def test_a_checkpoint_may_not_run_code(built: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    pack = a_pack(built, tmp_path)
    path = pack.file("weights")
    path.unlink()
    torch.save({"model": {}, "config": Evil()}, path)
    with pytest.raises(ModelUnavailable):
        opened(pack, tmp_path / "cache")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"speaker": "Nobody"}, r"no built-in speaker 'Nobody'; there are: Tiny Ada, Tiny Ben"),
        ({"top_k": "many"}, "options: top_k: int is wanted"),
        ({"temperature": 0}, "options: temperature: more than 0 is wanted"),
        ({"hurry": True}, "options: xtts knows no hurry"),
    ],
)
def test_options_that_cannot_be_are_refused(built: Path, tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        opened(a_pack(built, tmp_path, **options), tmp_path / "cache")


def test_a_device_that_is_not_there_is_a_reason(built: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="xtts-tiny: XTTS cannot be loaded"):
        opened(a_pack(built, tmp_path), tmp_path / "cache", device="cuda:99")


def test_a_half_precise_model_speaks_and_clones(built: Path, tmp_path: Path) -> None:
    voice = opened(a_pack(built, tmp_path), tmp_path / "cache", dtype="bfloat16")
    assert np.isfinite(said(voice, "Yes.")).all()
    copy = voice.imitate(Reference(pcm=recording(2.0), sample_rate=22_050, text="Hum."))
    assert np.isfinite(said(copy, "Yes.")).all()


# --- sound -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("speed", [0.7, 1.0, 1.3])
def test_windows_together_are_the_whole_decode(voice: XttsSynthesizer, speed: float) -> None:
    model, latents = voice._open.loaded.model, _latents(voice, 45)
    whole = torch.cat(latents)[None]
    with torch.inference_mode():
        if speed != 1.0:  # as the library does it
            whole = torch.nn.functional.interpolate(whole.transpose(1, 2), scale_factor=1.0 / speed, mode="linear")
            whole = whole.transpose(1, 2)
        expected = model.hifigan_decoder(whole, g=voice._open.voice.speaker).reshape(-1).numpy()
    windowed = WindowedVocoder(model.hifigan_decoder, voice._open.voice.speaker, speed=speed)
    cuts = [0, 1, 7, 13, 21, 33, 45]
    pieces = [windowed.feed(latents[a:b], last=b == 45) for a, b in pairwise(cuts)]
    heard = np.concatenate(pieces)
    assert heard.shape == expected.shape
    assert np.abs(heard - expected).max() < 1e-4


def test_a_window_costs_the_same_however_much_was_said(voice: XttsSynthesizer) -> None:
    decoder, widths = voice._open.loaded.model.hifigan_decoder, []
    windowed = WindowedVocoder(decoder, voice._open.voice.speaker, speed=1.0)
    hook = decoder.waveform_decoder.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[2]))
    latents = _latents(voice, 20)
    for _ in range(8):
        windowed.feed(latents, last=False)
    hook.remove()
    assert max(widths[1:]) - min(widths[1:]) <= 1
    assert max(widths) <= 20 * 4.36 + 2 * 16 + 4


def test_a_phrase_that_ends_by_itself_is_not_cut_off(built: Path, tmp_path: Path) -> None:
    def change(state: dict[str, Any]) -> None:
        state["gpt.mel_head.bias"][1025] = 1e4

    long = opened(a_pack(built, tmp_path), tmp_path / "cache")
    short = opened(rewritten(a_pack(built, tmp_path / "short"), change), tmp_path / "cache")
    assert len(said(short)) < len(said(long)) / 4


# --- phrases that alternate ------------------------------------------------------------------------------------------
def test_latents_that_alternate_are_those_of_each_alone(voice: XttsSynthesizer) -> None:
    texts = ("one", "a much longer text than that")
    alone = [_latents(voice, 10, text) for text in texts]
    going = [_stepping(voice, 10, text) for text in texts]
    together: list[list[Any]] = [[], []]
    for _ in range(10):
        for steps, made in zip(going, together, strict=True):
            torch.rand(7)  # somebody else draws in between
            made.append(next(steps))
    for one, expected in zip(together, alone, strict=True):
        assert torch.equal(torch.cat(one), torch.cat(expected))


def test_a_pause_computes_nothing_and_a_stop_frees_within_a_step(voice: XttsSynthesizer) -> None:
    gpt, steps = voice._open.loaded.model.gpt, []
    hook = gpt.gpt.register_forward_hook(lambda *_: steps.append(1))
    going = voice.synthesize(TEXT, language="en", speed=1.0)
    next(going)
    made = len(steps)
    assert made == 6
    time.sleep(0.05)  # nothing runs in the background that could be awaited
    assert len(steps) == made
    going.close()  # type: ignore[attr-defined]  # adapters give generators
    hook.remove()
    assert len(steps) == made
    assert gpt.gpt_inference.cached_prefix_emb is None


# --- voices ----------------------------------------------------------------------------------------------------------
def test_a_seed_is_learned_once_and_found_on_disk_afterwards(built: Path, tmp_path: Path) -> None:
    pack = a_pack(built, tmp_path, seed=True, speaker="")
    first = said(opened(pack, tmp_path / "cache"), "Yes.")
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    assert kept.stat().st_mode & 0o077 == 0
    written = kept.stat().st_mtime_ns
    assert np.array_equal(said(opened(pack, tmp_path / "cache"), "Yes."), first)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", ["cut off", "changed", "other shape", "empty"])
def test_a_broken_file_in_the_cache_is_learned_anew(voice: XttsSynthesizer, damage: str) -> None:
    reference = Reference(pcm=recording(1.5, pitch_hz=200.0), sample_rate=22_050, text="Hum.")
    expected = said(voice.imitate(reference), "Yes.")
    path = _kept(voice, reference)
    whole = path.read_bytes()
    match damage:
        case "cut off":
            path.write_bytes(whole[: len(whole) // 2])
        case "changed":
            path.write_bytes(whole[:500] + bytes(100) + whole[600:])
        case "other shape":
            np.savez(path, condition=np.zeros((1, 32, CHANNELS + 1), np.float32), speaker=np.zeros((1, 512, 1)))
        case _:
            path.write_bytes(b"")
    assert np.array_equal(said(voice.imitate(reference), "Yes."), expected)
    assert path.read_bytes() == whole


def test_an_upload_is_imitated_and_the_model_keeps_its_own_voice(voice: XttsSynthesizer) -> None:
    assert isinstance(voice, Cloner)
    own = said(voice, "Yes.")
    low, high = (Reference(pcm=recording(2.0, pitch_hz=f), sample_rate=48_000, text="Hum.") for f in (110.0, 260.0))
    one, other = voice.imitate(low), voice.imitate(high)
    assert not np.array_equal(said(one, "Yes."), said(other, "Yes."))
    one.close()
    with pytest.raises(SynthesisFailed, match="closed"):
        said(one, "Yes.")
    assert np.array_equal(said(voice, "Yes."), own)


def test_an_upload_is_not_remembered_for_ever(voice: XttsSynthesizer) -> None:
    old = Reference(pcm=recording(1.2, pitch_hz=300.0), sample_rate=22_050, text="Hum.")
    voice.imitate(old)
    path = _kept(voice, old)
    os.utime(path, (time.time() - 25 * 3600,) * 2)
    voice.imitate(Reference(pcm=recording(1.2, pitch_hz=310.0), sample_rate=22_050, text="Hum."))
    assert not path.exists()


@pytest.mark.parametrize("pcm", [np.zeros(40_000, np.float32), np.full(40_000, np.nan, np.float32)])
def test_a_recording_without_a_voice_is_refused(voice: XttsSynthesizer, pcm: Pcm) -> None:
    with pytest.raises(SynthesisFailed, match="nothing can be heard"):
        voice.imitate(Reference(pcm=pcm, sample_rate=22_050, text="Silence."))


def test_a_built_in_speaker_is_chosen_by_name(built: Path, tmp_path: Path) -> None:
    ada, ben = (opened(a_pack(built, tmp_path / s, speaker=s), tmp_path / "cache") for s in SPEAKERS)
    assert not np.array_equal(said(ada, "Yes."), said(ben, "Yes."))


def test_closing_frees_the_model_at_once(built: Path, tmp_path: Path) -> None:
    voice = opened(a_pack(built, tmp_path), tmp_path / "cache")
    said(voice, "Yes.")
    model = weakref.ref(voice._open.loaded.model.gpt.gpt)
    going = voice.synthesize(TEXT, language="en", speed=1.0)
    next(going)
    going.close()  # type: ignore[attr-defined]  # adapters give generators
    voice.close()
    assert model() is None


# --- languages, errors, quiet ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "code", ["en-US", "es", "fr", "de", "it", "pt-BR", "pl", "tr", "ru", "nl", "cs", "ar", "hu", "ko", "hi"]
)
def test_its_languages_are_spoken(voice: XttsSynthesizer, code: str) -> None:
    words = {"ru": "Привет, мир", "ar": "مرحبا", "ko": "안녕하세요", "hi": "नमस्ते"}
    assert said(voice, f"{words.get(code, 'Salut')} 12.", language=code).size


@pytest.mark.parametrize(
    ("code", "text", "package"), [("zh-CN", "你好。", "pypinyin"), ("ja", "こんにちは。", "cutlet")]
)
def test_a_language_whose_package_is_missing_says_so(
    voice: XttsSynthesizer, code: str, text: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(SynthesisFailed, match=rf"{package}.*install coqui-tts\[{code[:2]}\]"):
        said(voice, text, language=code)


def test_an_error_of_the_library_is_a_failed_synthesis_with_its_reason(
    voice: XttsSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(voice._open.loaded.model.gpt.gpt, "forward", broken)
    with pytest.raises(SynthesisFailed, match="XTTS: RuntimeError: out of memory"):
        said(voice)


def test_nothing_is_printed_and_nobody_is_called(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("a connection was tried")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    voice = opened(a_pack(built, tmp_path, seed=True, speaker="", longest_char_ms=3), tmp_path / "cache")
    said(voice, "Yes, and a text that is a little longer than the library likes. " * 5)
    assert capfd.readouterr() == ("", "")


def _stepping(voice: XttsSynthesizer, count: int, text: str = TEXT) -> Iterator[Any]:
    model, opened_ = voice._open.loaded.model, voice._open
    tokens = model.tokenizer.encode(text.lower(), lang="en")
    sampling = opened_.options.sampling(opened_.loaded.config)
    return latents_of(model.gpt, tokens, opened_.voice.condition, sampling=sampling, seed=3, most=count)


def _latents(voice: XttsSynthesizer, count: int, text: str = TEXT) -> list[Any]:
    return list(_stepping(voice, count, text))


def _kept(voice: XttsSynthesizer, reference: Reference) -> Path:
    cloning = voice._open.cloning
    return cloning._folder / "uploads" / f"{cloning._name(reference)}.npz"
