"""`actors`, `adapters` and `protocol` are ordinary words: no other package of these names may take their place."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_NOT_IN_PROTOCOL = {"asyncio", "threading", "time", "pykka", "nats", "actors", "adapters"}
_NOT_IN_POLICIES = {
    "asyncio", "threading", "time", "pykka", "nats", "adapters", "os", "io", "sys", "random", "secrets", "socket",
    "subprocess", "pathlib", "logging", "structlog", "datetime", "prometheus_client",
}  # fmt: skip


@pytest.mark.parametrize("name", ["actors", "adapters", "protocol", "tests"])
def test_the_package_is_the_one_of_this_repository(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT / name


def imported_by(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted((ROOT / "protocol").rglob("*.py")), ids=lambda file: file.name)
def test_the_protocol_does_no_io_and_has_no_clock(file: Path) -> None:
    assert imported_by(file) & _NOT_IN_PROTOCOL == set()


@pytest.mark.parametrize("file", sorted((ROOT / "actors" / "policies").rglob("*.py")), ids=lambda file: file.name)
def test_a_policy_does_no_io_and_has_no_clock(file: Path) -> None:
    assert imported_by(file) & _NOT_IN_POLICIES == set()
