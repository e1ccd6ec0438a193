"""The pack of XTTS-v2: its files are the published ones, and nobody gets them without having seen the licence."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.cli import voices
from adapters.tts.loading import OPTIONS
from adapters.voicepacks import HubSource, VoicePack, find_packs
from protocol.errors import SettingsInvalid
from tests.fakes.hub import FakeHub, serving


@pytest.fixture
def pack() -> VoicePack:
    found = find_packs().get("xtts-v2")
    assert found is not None
    return found


def test_it_names_the_published_files_and_only_what_the_adapter_knows(pack: VoicePack) -> None:
    assert isinstance(pack.source, HubSource)
    roles = {file.role: file.path for file in pack.source.files if file.role}
    assert roles == {
        "weights": "model.pth",
        "config": "config.json",
        "vocabulary": "vocab.json",
        "speakers": "speakers_xtts.pth",
    }
    assert set(pack.options) <= OPTIONS["xtts"]
    assert "zero_shot" in pack.tags
    assert len(pack.languages) == 17


async def test_its_licence_is_shown_and_must_be_accepted_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with serving(FakeHub({"model.pth": b"weights"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        refused = CliRunner().invoke(voices.app, ["pull", "xtts-v2"])
        assert isinstance(refused.exception, SettingsInvalid)
        assert "--accept-licence" in str(refused.exception)
        assert "licence: Coqui Public Model License" in refused.output
        assert "may be used commercially" in refused.output
        assert not hub.asked
