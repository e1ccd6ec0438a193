from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from actors.settings import GatewaySettings, WorkerSettings
from actors.settings_sources import load, misspelt
from protocol.errors import SettingsInvalid


class Sources:
    """A directory with configuration files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def gateway(
        self, text: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
    ) -> GatewaySettings:
        file = self.directory / "gateway.yaml"
        file.write_text(text)
        return load(GatewaySettings, file=file, environ=environ or {}, flags=flags)

    def complaint(
        self, text: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
    ) -> str:
        with pytest.raises(SettingsInvalid) as raised:
            self.gateway(text, environ, flags)
        return str(raised.value)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_the_defaults_are_valid_and_complete(tmp_path: Path) -> None:
    settings = load(GatewaySettings, default_file=tmp_path / "gateway.yaml", environ={})
    assert (settings.host, settings.port, settings.api_key) == ("127.0.0.1", 8700, None)
    defaults = settings.session_defaults
    assert all(getattr(defaults, name) is not None for name in defaults.__dataclass_fields__)
    assert load(WorkerSettings, environ={}).tts.worker_name == "tts-hibari-0"


def test_a_variable_overrides_the_file_and_a_flag_overrides_both(sources: Sources) -> None:
    text = "port: 1\nhost: from-file\nvoice: from-file"
    environ = {"ANTIPHON_PORT": "2", "ANTIPHON_HOST": "from-variable"}
    settings = sources.gateway(text, environ, {"port": 3, "api_key": None})
    assert (settings.port, settings.host, settings.voice) == (3, "from-variable", "from-file")


def test_sections_join_in_a_variable_s_name(sources: Sources) -> None:
    environ = {
        "ANTIPHON_LLM_BASE_URL": "http://llm/v1",
        "ANTIPHON_LLM_MODEL": "some/model",
        "ANTIPHON_LLM_API_KEY": "secret",
        "ANTIPHON_NATS_URL": "nats://a, nats://b",
        "ANTIPHON_STUN_SERVERS": "stun:a, stun:b",
        "ANTIPHON_TENTATIVE_HOLD": "false",
    }
    settings = sources.gateway(environ=environ)
    assert (settings.llm.base_url, settings.llm.model) == ("http://llm/v1", "some/model")
    assert settings.llm.api_key.get_secret_value() == "secret"
    assert settings.nats.urls == ("nats://a", "nats://b")
    assert settings.stun_servers == ("stun:a", "stun:b")
    assert settings.tentative_hold is False


def test_deep_sections_and_lists_are_read_from_the_worker_s_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.yaml"
    file.write_text("tts:\n  family: piper\n  model_manager:\n    preload_model_ids: [a, b]\n")
    settings = load(WorkerSettings, file=file, environ={"ANTIPHON_TTS_MODEL_MANAGER_RESIDENT_CAP": "5"})
    assert settings.tts.model_manager.preload_model_ids == ("a", "b")
    assert settings.tts.model_manager.resident_cap == 5
    assert settings.tts.worker_name == "tts-piper-0"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prt: 1", "gateway.yaml: prt: there is no such key; did you mean port?"),
        ("llm: {bas_url: x}", "gateway.yaml: llm.bas_url: there is no such key; did you mean llm.base_url?"),
        ("zzzzzz: 1", "gateway.yaml: zzzzzz: there is no such key"),
        ("llm: 5", "gateway.yaml: llm: is a section, with keys of its own"),
        ("port: 70000", "gateway.yaml: port: input should be less than or equal to 65535"),
        ("- 1", "gateway.yaml: must hold keys and values"),
        (
            "llm: {base_url: 'http://x/v1'}",
            "gateway.yaml: llm: base_url needs a model: name one of the server's models",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(sources: Sources, text: str, complaint: str) -> None:
    assert sources.complaint(text) == complaint


def test_a_wrong_value_is_named_with_its_variable_or_flag(sources: Sources) -> None:
    assert sources.complaint(environ={"ANTIPHON_PORT": "many"}).startswith("ANTIPHON_PORT: port: input should be")
    assert sources.complaint(flags={"max_sessions": 0}).startswith("--max-sessions: max_sessions: input should be")


def test_a_complaint_does_not_repeat_a_secret(sources: Sources) -> None:
    assert "hush" not in sources.complaint(environ={"ANTIPHON_API_KEY": "hush", "ANTIPHON_PORT": "hush-hush"})


def test_a_file_that_is_no_yaml_or_not_there_is_named(sources: Sources, tmp_path: Path) -> None:
    assert sources.complaint("a: [").startswith("gateway.yaml: is no YAML: ")
    with pytest.raises(SettingsInvalid, match=r"missing\.yaml: cannot be read: No such file"):
        load(GatewaySettings, file=tmp_path / "missing.yaml", environ={})


def test_an_empty_file_or_section_changes_nothing(sources: Sources) -> None:
    assert sources.gateway("# nothing yet\n") == sources.gateway("llm:\n") == GatewaySettings()


def test_settings_cannot_be_changed_afterwards() -> None:
    settings: Any = GatewaySettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_a_secret_is_not_shown(sources: Sources) -> None:
    settings = sources.gateway(environ={"ANTIPHON_API_KEY": "hush", "ANTIPHON_LLM_API_KEY": "hush"})
    assert "hush" not in repr(settings)


def test_a_misspelt_variable_is_told_of_and_a_stranger_is_not() -> None:
    kinds: list[type[BaseModel]] = [GatewaySettings, WorkerSettings]
    environ = {"ANTIPHON_MAX_SESSION": "1", "ANTIPHON_DEBUG": "1", "ANTIPHON_PORT": "1", "OTHER": "1"}
    assert misspelt(kinds, environ) == [
        "ANTIPHON_MAX_SESSION: there is no such setting; did you mean ANTIPHON_MAX_SESSIONS?"
    ]


def test_the_admin_key_is_secret_and_read_from_its_own_variable(sources: Sources) -> None:
    settings = sources.gateway(environ={"ANTIPHON_ADMIN_KEY": "hush"})
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "hush"
    assert settings.api_key is None
    assert "hush" not in repr(settings)
