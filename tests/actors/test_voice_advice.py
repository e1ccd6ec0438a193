"""What is said about a voice that no worker has."""

from pathlib import Path

import pytest

from actors.bootstrap.advice import VoiceAdvice, advised
from actors.router import Router
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement
from tests.adapters.voicepacks.shelf import put
from tests.fakes.registry import FakeRegistry


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTIPHON_VOICEPACKS_DIR", str(tmp_path / "packs"))
    monkeypatch.setenv("ANTIPHON_CACHE_DIR", str(tmp_path / "cache"))


def advice(model: str) -> str:
    found = VoiceAdvice()
    found.read()
    return found.on(model)


def test_weights_that_were_not_pulled_are_to_be_pulled() -> None:
    assert advice("piper-alan") == "it is not pulled: antiphon voices pull piper-alan, then antiphon models reload"


def test_weights_that_are_here_need_a_worker(tmp_path: Path) -> None:
    home = put(tmp_path / "packs", "piper/mine", source={"files": [{"path": "a.onnx", "as": "weights"}]})
    assert advice("piper-mine") == "it cannot be used: a.onnx is missing in the pack's folder"
    (home / "a.onnx").write_bytes(b"")
    assert advice("piper-mine") == (
        "its weights are here: antiphon models reload, or antiphon serve tts --family piper"
    )


def test_a_voice_without_a_pack_is_not_spoken_of() -> None:
    assert advice("nobody") == ""
    assert VoiceAdvice().on("piper-alan") == ""


def test_settings_that_are_wrong_take_the_advice_away_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "worker.yaml").write_text("tts: {nonsense: 1}", encoding="utf-8")
    assert advice("piper-alan") == ""


async def test_a_session_that_asks_for_it_is_told() -> None:
    found = VoiceAdvice()
    worker = Announcement(name=WorkerName("a"), addr="", models=(ModelId("piper-joe"),))
    router = Router(FakeRegistry(worker), advise=found.on)
    await router.start()
    told = []
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            router.choose_tts(voice="piper-alan", language="en")
        told.append(refused.value.reason)
        found.read()
    assert told[0] == "no worker has piper-alan; there are: piper-joe"
    assert told[1] == f"{told[0]}; it is not pulled: antiphon voices pull piper-alan, then antiphon models reload"


@pytest.mark.parametrize(("code", "model"), [("no-capacity", "piper-alan"), ("no-such-model", "nobody")])
def test_another_refusal_stays_as_it_is(code: str, model: str) -> None:
    refused = Refused(code, "for a reason")
    assert advised(refused, model) is refused
