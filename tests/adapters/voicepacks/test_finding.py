from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from adapters.tts.loading import FAMILIES, load_synthesizer
from adapters.voicepacks import find_packs, places
from protocol.errors import ModelUnavailable
from protocol.ids import ModelId
from tests.adapters.voicepacks.shelf import put, the_pack

GOOD = """\
family: {family}
model_id: {model}
title: A voice
languages: [en]
sample_rate: 24000
licence: MIT
memory_mb: 10
source: {{package: {package}, distribution: some-package}}
"""


def _pack(folder: Path, family: str, name: str, text: str) -> None:
    path = folder / family / name / "metadata.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def _good(family: str = "fam", model: str = "fam-one", package: str = "hibari") -> str:
    return GOOD.format(family=family, model=model, package=package)


def test_the_packs_of_the_checkout_are_all_good() -> None:
    packs = find_packs()
    assert not packs.broken
    assert {"hibari-heart", "piper-joe"} <= {pack.model_id for pack in packs.good}
    assert [pack.model_id for pack in packs.of("hibari")] == ["hibari-heart"]


def test_an_installed_distribution_carries_them_beside_the_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pack(tmp_path / "voicepacks_data", "fam", "one", _good())
    monkeypatch.setattr(places, "BUILT_IN", (tmp_path / "no-checkout", tmp_path / "voicepacks_data"))
    assert [pack.model_id for pack in find_packs(user=tmp_path / "none").good] == ["fam-one"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("family: [", "ScannerError|ParserError"),
        ("just words", "metadata.yaml"),
        ("", "metadata.yaml"),
        (_good().replace("sample_rate: 24000", "sample_rate: fast"), "sample_rate"),
        (_good() + "colour: blue\n", "colour"),
        (_good(model="Not An Id"), "model_id"),
        (_good(family="other"), "its family is other"),
        (_good().replace("some-package}", "some-package, weights: ../../secret}"), "weights"),
        (_good().replace("some-package}", "some-package, weights: /etc/passwd}"), "weights"),
    ],
)
def test_a_broken_pack_is_named_and_the_rest_works(tmp_path: Path, text: str, reason: str) -> None:
    _pack(tmp_path, "fam", "broken", text)
    _pack(tmp_path, "fam", "works", _good())
    packs = find_packs(tmp_path)
    assert [pack.model_id for pack in packs.good] == ["fam-one"]
    (broken,) = packs.broken
    assert broken.name == "fam/broken"
    assert any(part in broken.reason for part in reason.split("|"))


def test_of_two_packs_with_one_name_the_second_is_broken(tmp_path: Path) -> None:
    _pack(tmp_path, "fam", "a", _good())
    _pack(tmp_path, "fam", "b", _good())
    packs = find_packs(tmp_path)
    assert len(packs.good) == 1
    assert [broken.name for broken in packs.broken] == ["fam/b"]


def test_the_chosen_pack_of_a_family_comes_first(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _pack(tmp_path, "fam", name, _good(model=f"fam-{name}"))
    packs = find_packs(tmp_path)
    assert [p.model_id for p in packs.of("fam", first=ModelId("fam-b"))] == ["fam-b", "fam-a", "fam-c"]
    assert packs.of("unknown") == ()


def test_a_folder_that_is_not_there_has_no_packs(tmp_path: Path) -> None:
    assert find_packs(tmp_path / "nowhere").good == ()


def test_a_missing_package_is_named_with_what_to_install(tmp_path: Path) -> None:
    _pack(tmp_path, "fam", "one", _good(package="not_installed_anywhere"))
    with pytest.raises(ModelUnavailable, match="install some-package"):
        load_synthesizer(find_packs(tmp_path).good[0])


def test_a_family_that_no_adapter_knows_is_unavailable(tmp_path: Path) -> None:
    _pack(tmp_path, "fam", "one", _good())
    with pytest.raises(ModelUnavailable, match="family 'fam'"):
        load_synthesizer(find_packs(tmp_path).good[0])


def test_an_option_that_the_adapter_does_not_know_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "hibari/one", options={"colour": "blue"})
    with pytest.raises(ModelUnavailable, match="options: hibari knows no colour"):
        load_synthesizer(the_pack(tmp_path))


@pytest.mark.models
def test_every_pack_of_the_checkout_whose_weights_are_here_loads_at_its_rate(tmp_path: Path) -> None:
    packs = [p for p in find_packs(user=tmp_path).good if p.family in FAMILIES and p.is_present()]
    assert {"hibari-heart", "piper-joe"} <= {pack.model_id for pack in packs}
    for pack in packs:
        synthesizer = load_synthesizer(pack)
        assert (synthesizer.model, synthesizer.sample_rate) == (pack.model_id, pack.sample_rate)
        synthesizer.close()


def _recording(path: Path, *, seconds: float = 2.0, rate: int = 24_000, channels: int = 1, kind: str = "WAV") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), np.zeros((int(seconds * rate), channels), np.float32), rate, format=kind)


def test_a_users_pack_hides_one_of_ours_with_the_same_model(tmp_path: Path) -> None:
    put(tmp_path, "piper/mine", model_id="piper-joe", title="My own Joe")
    packs = find_packs(user=tmp_path)
    assert not packs.broken
    assert [pack.title for pack in packs.of("piper") if pack.model_id == "piper-joe"] == ["My own Joe"]


def test_a_voice_that_comes_with_a_package_is_a_familys_first(tmp_path: Path) -> None:
    put(tmp_path, "fam/a", source={"files": [{"path": "weights"}]})
    put(tmp_path, "fam/b")
    assert [p.model_id for p in find_packs(tmp_path).of("fam")] == ["fam-b", "fam-a"]


def test_a_pack_is_found_by_its_model_or_by_its_folder(tmp_path: Path) -> None:
    put(tmp_path, "fam/one", model_id="something-else")
    packs = find_packs(tmp_path)
    assert packs.get("something-else") == packs.get("fam/one") == packs.good[0]
    assert packs.get("fam-one") is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({}, "a package, a hub or files are wanted"),
        ({"files": []}, "files"),
        ({"files": [{"path": "../a"}]}, "path"),
        ({"files": [{"path": "a"}, {"path": "a"}]}, "the same path twice: a"),
        ({"files": [{"path": "a", "as": "x"}, {"path": "b", "as": "x"}]}, "the same role twice: x"),
        ({"files": [{"path": "a", "sha256": "ABC"}]}, "sha256"),
        ({"hub": "owner/name", "revision": "main", "files": [{"path": "a"}]}, "revision"),
        ({"hub": "no-owner", "revision": "0" * 40, "files": [{"path": "a"}]}, "hub"),
        ({"package": "x y", "distribution": "z"}, "package"),
    ],
)
def test_a_source_that_is_none_breaks_the_pack(tmp_path: Path, source: dict[str, object], reason: str) -> None:
    put(tmp_path, source=source)
    (broken,) = find_packs(tmp_path).broken
    assert reason in broken.reason


def test_a_packs_own_files_are_known_by_what_the_adapter_calls_them(tmp_path: Path) -> None:
    home = put(tmp_path, source={"files": [{"path": "deep/model.onnx", "as": "weights", "size": 5}]})
    pack = the_pack(tmp_path)
    assert pack.why_absent() == "deep/model.onnx is missing in the pack's folder"
    with pytest.raises(ModelUnavailable, match=r"fam-one: deep/model\.onnx is missing"):
        pack.file("weights")
    (home / "deep").mkdir()
    (home / "deep" / "model.onnx").write_text("hell")
    assert "has 4 bytes instead of 5" in pack.why_absent()
    (home / "deep" / "model.onnx").write_text("hello")
    assert pack.is_present()
    assert pack.file("weights") == home / "deep" / "model.onnx"
    with pytest.raises(ModelUnavailable, match="names no file as config"):
        pack.file("config")


def test_a_package_that_needs_another_is_absent_without_it(tmp_path: Path) -> None:
    put(tmp_path, source={"package": "hibari", "distribution": "all-of-it", "also": ["not_installed_anywhere"]})
    assert the_pack(tmp_path).why_absent() == "the package not_installed_anywhere is missing: install all-of-it"


def test_an_adapter_without_its_base_is_broken(tmp_path: Path) -> None:
    put(tmp_path, "fam/tuned", base="fam-one")
    assert [broken.reason for broken in find_packs(tmp_path).broken] == ["base: there is no model fam-one"]
    put(tmp_path, "fam/one")
    assert len(find_packs(tmp_path).good) == 2


def test_a_reference_recording_that_is_well_is_taken(tmp_path: Path) -> None:
    home = put(tmp_path, reference={"text": "What is said."})
    _recording(home / "ref" / "seed.wav", channels=2)
    pack = the_pack(tmp_path)
    assert pack.reference is not None
    assert pack.reference.audio == "ref/seed.wav"


@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        ({"seconds": 0.5}, "is 0.5 s long"),
        ({"seconds": 31.0}, "is 31.0 s long"),
        ({"rate": 8_000}, "is sampled at 8000 Hz"),
        ({"channels": 3}, "has 3 channels"),
        ({"kind": "FLAC"}, "is FLAC; WAV is wanted"),
        (None, "there is no such file"),
    ],
)
def test_a_reference_recording_that_is_not_breaks_the_pack(
    tmp_path: Path, recording: dict[str, Any] | None, reason: str
) -> None:
    home = put(tmp_path, reference={"text": "What is said."})
    if recording is not None:
        _recording(home / "ref" / "seed.wav", **recording)
    (broken,) = find_packs(tmp_path).broken
    assert f"ref/seed.wav: {reason}" in broken.reason


def test_a_reference_recording_that_is_no_sound_breaks_the_pack(tmp_path: Path) -> None:
    home = put(tmp_path, reference={"text": "What is said."})
    (home / "ref").mkdir()
    (home / "ref" / "seed.wav").write_text("hello")
    (broken,) = find_packs(tmp_path).broken
    assert "is no sound file" in broken.reason
