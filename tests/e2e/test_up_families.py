"""`antiphon up --tts xtts` where XTTS cannot run: one line says what is missing, and nothing is left running."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.system import ROOT, antiphon, free_port, plain_environment

_HAS_XTTS: Final = importlib.util.find_spec("TTS") is not None
_LIMIT_S: Final = 120.0


def up_said(folder: Path, *families: str) -> tuple[int, list[str]]:
    """Status and lines of an `up` that ends by itself; it starts anew what ends, so it has to give up."""
    ports = ("--port", str(free_port()), "--nats-port", str(free_port()))
    done = subprocess.run(
        antiphon("up", *ports, "--data-dir", str(folder / "up"), *(o for f in families for o in ("--tts", f))),
        cwd=ROOT,
        env={**plain_environment(), "ANTIPHON_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.system
@pytest.mark.skipif(_HAS_XTTS, reason="the extra is installed")
def test_a_family_that_is_not_installed_is_named_with_its_extra(tmp_path: Path) -> None:
    status, said = up_said(tmp_path, "hibari", "xtts")
    assert status == 2
    (line,) = [line for line in said if "xtts" in line]
    assert line.startswith("antiphon: --tts: xtts is not installed (missing: torch, torchaudio, TTS): ")
    assert line.endswith("install antiphon[xtts] (in a checkout: uv sync --extra xtts)")


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_a_family_whose_weights_are_not_here_is_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    pytest.importorskip("TTS", reason="XTTS is an extra")
    status, said = up_said(tmp_path, "xtts")
    assert status == 2
    assert said[-1].endswith("tts.model_manager.default_model_id: xtts-v2: not pulled: antiphon voices pull xtts-v2")
