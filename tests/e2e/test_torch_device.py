"""`antiphon serve tts --device cuda:0` where there is no GPU: one line that says so, and a status."""

from pathlib import Path

import pytest

from adapters.server.embedded_nats import EmbeddedNats
from protocol.ids import ModelId
from tests.checkpoints.xtts import write_pack
from tests.e2e.torch_worker import ended, started


@pytest.mark.heavy
@pytest.mark.timeout(300)
async def test_without_a_gpu_the_command_says_so_and_what_hides_it(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="XTTS is an extra")
    home = tmp_path / "packs" / "xtts" / "tiny"
    home.mkdir(parents=True)
    for file in ("model.pth", "config.json", "vocab.json", "speakers_xtts.pth"):
        (home / file).write_bytes(b"never read")
    write_pack(home)
    process = await started(
        nats_server,
        tmp_path,
        "xtts",
        ModelId("xtts-tiny"),
        *("--device", "cuda:0"),
        environment={"CUDA_VISIBLE_DEVICES": ""},
    )
    said = await ended(process)
    assert process.returncode == 2
    *_, last = said.strip().splitlines()
    assert last.startswith("antiphon: tts.device: there is no cuda:0: torch finds no GPU here")
    assert "CUDA_VISIBLE_DEVICES= hides all GPUs" in last or "built without CUDA" in last
    assert "Traceback" not in said
