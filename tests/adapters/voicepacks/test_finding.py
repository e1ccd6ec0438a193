from pathlib import Path

import pytest

from adapters.tts.loading import FAMILIES, load_synthesizer
from adapters.voicepacks import find_packs, places
from protocol.errors import ModelUnavailable
from protocol.ids import ModelId

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


@pytest.mark.models
def test_every_pack_of_the_checkout_whose_weights_are_here_loads_at_its_rate(tmp_path: Path) -> None:
    packs = [p for p in find_packs(user=tmp_path).good if p.family in FAMILIES and p.is_present()]
    assert {"hibari-heart", "piper-joe"} <= {pack.model_id for pack in packs}
    for pack in packs:
        synthesizer = load_synthesizer(pack)
        assert (synthesizer.model, synthesizer.sample_rate) == (pack.model_id, pack.sample_rate)
        synthesizer.close()
