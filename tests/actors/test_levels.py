"""A voice's level is measured once, and known to the workers that come later."""

import os
from pathlib import Path

import numpy as np
import pytest

from actors.bootstrap.levels import kept_level
from actors.voices import Voice
from adapters.audio.mastering import calibrate
from adapters.voicepacks import VoicePack, find_packs
from protocol.ports import Calibrate, Pcm, SpeechShaper
from tests.actors.tts_stage import a_stage
from tests.adapters.voicepacks.shelf import put, the_pack
from tests.fakes.voices import FakeSynthesizer

FILES = {"files": [{"path": "v.onnx", "as": "weights"}]}


@pytest.fixture
def pack(tmp_path: Path) -> VoicePack:
    (put(tmp_path / "packs", source=FILES) / "v.onnx").write_bytes(b"weights")
    return the_pack(tmp_path / "packs", cache=tmp_path / "cache")


def level(pack: VoicePack, *, device: str = "cpu") -> Calibrate:
    found = kept_level(pack, device=device, dtype="auto")
    assert found is not None
    return found


def steps(calibrate: Calibrate) -> int:
    """How many chunks a model is asked for before it is warm."""
    voice = FakeSynthesizer()
    calibrate(voice)
    assert voice.open_phrases == 0
    return voice.steps


def shaped(shaper: SpeechShaper) -> bytes:
    sound: Pcm = np.sin(np.arange(24_000, dtype=np.float32) / 10).astype(np.float32) * 0.05
    shaper.begin_phrase()
    return b"".join([*shaper.shape(sound), *shaper.finish()])


MEASURED = steps(calibrate)


def test_it_is_measured_once_and_the_next_worker_lets_the_model_speak_a_little_only(pack: VoicePack) -> None:
    assert steps(level(pack)) == MEASURED
    assert 0 < steps(level(pack)) < MEASURED / 4


def test_what_is_known_sounds_as_what_was_measured(pack: VoicePack) -> None:
    level(pack)(FakeSynthesizer())
    known, plain = (one(FakeSynthesizer())() for one in (level(pack), calibrate))
    assert shaped(known) == shaped(plain)


def test_other_weights_other_words_or_another_device_are_measured_anew(pack: VoicePack, tmp_path: Path) -> None:
    level(pack)(FakeSynthesizer())
    assert steps(level(pack, device="cuda:0")) == MEASURED
    weights = pack.file("weights")
    os.utime(weights, (1, 1))
    assert steps(level(pack)) == MEASURED
    metadata = pack.home / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("A voice", "Another"))
    assert steps(level(the_pack(tmp_path / "packs", cache=tmp_path / "cache"))) == MEASURED


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"level_lufs": "x", "gain_db": 1}', b'{"level_lufs": 1}'])
def test_a_spoilt_note_is_written_anew(pack: VoicePack, spoilt: bytes) -> None:
    level(pack)(FakeSynthesizer())
    (note,) = (pack.cache / pack.family / "levels").iterdir()
    note.write_bytes(spoilt)
    assert steps(level(pack)) == MEASURED
    assert steps(level(pack)) < MEASURED


def test_where_nothing_can_be_kept_it_is_measured_each_time(pack: VoicePack) -> None:
    pack.cache.mkdir(parents=True)
    (pack.cache / pack.family).write_text("in the way")
    assert steps(level(pack)) == MEASURED
    assert steps(level(pack)) == MEASURED


def test_an_adapter_of_another_model_is_measured_each_time(tmp_path: Path) -> None:
    for name, more in (("fam/base", {}), ("fam/own", {"base": "fam-base"})):
        (put(tmp_path, name, source=FILES, **more) / "v.onnx").write_bytes(b"weights")
    packs = find_packs(tmp_path, cache=tmp_path / "cache")
    known = {pack.model_id: kept_level(pack, device="cpu", dtype="auto") for pack in packs.good if pack.family == "fam"}
    assert {model for model, calibrate in known.items() if calibrate is None} == {"fam-own"}
    assert len(known) == 2


async def test_a_worker_asks_its_voice_before_it_measures(pack: VoicePack) -> None:
    level(pack)(FakeSynthesizer())
    model = FakeSynthesizer()
    voice = Voice(model=model.model, languages=("en",), load=lambda: model, calibrate=level(pack))
    async with a_stage(voices=[voice], calibrate=pytest.fail):
        assert 0 < model.steps < MEASURED / 4
