"""`antiphon serve tts --family xtts`, as an operator starts it: it speaks, or says what to install."""

import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId, SessionId
from tests.checkpoints.xtts import build_xtts, write_pack
from tests.e2e.torch_worker import a_worker, ended, spoken, started

TINY = ModelId("xtts-tiny")
_HAS_XTTS: Final = importlib.util.find_spec("TTS") is not None


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_a_process_speaks_over_nats_from_the_files_of_a_pack(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    pytest.importorskip("TTS", reason="XTTS is an extra")
    write_pack(build_xtts(tmp_path / "packs" / "xtts" / "tiny"))
    async with a_worker(nats_server, tmp_path, "xtts", TINY) as bus:
        sound = await spoken(bus, "xtts", SessionId("s1"), language="pt-BR")
    assert len(sound) > 48_000 * 0.5
    assert np.sqrt(np.mean(sound**2)) > 100


@pytest.mark.skipif(_HAS_XTTS, reason="the extra is installed")
async def test_without_the_extra_the_command_says_what_to_install(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    home = tmp_path / "packs" / "xtts" / "tiny"
    home.mkdir(parents=True)
    for file in ("model.pth", "config.json", "vocab.json", "speakers_xtts.pth"):
        (home / file).write_bytes(b"never read")
    write_pack(home)
    process = await started(nats_server, tmp_path, "xtts", TINY)
    said = await ended(process)
    assert process.returncode != 0
    assert "install antiphon[xtts] (in a checkout: uv sync --extra xtts)" in said
