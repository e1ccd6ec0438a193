"""Every adapter that speaks text while it comes, for `test_text_streamer_contract.py`."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.adapters.synthesizers import Adapter, cosyvoice_folder, tiny
from tests.checkpoints.cosyvoice import write_pack
from tests.fakes.streamer import FakeStreamer


def _cosyvoice(mode: str) -> Any:
    def build(folder: Path) -> None:
        shutil.copytree(cosyvoice_folder(), folder)
        write_pack(folder, text_in="stream", mode=mode)

    return tiny("cosyvoice2", build)


def _cosyvoice_in(mode: str) -> Adapter:
    return Adapter(
        name=f"cosyvoice-{mode.replace('_', '-')}", make=_cosyvoice(mode), starts=20, heavy=True, tells_words=False
    )


STREAMERS: Final = (
    Adapter(name="fake", make=cache(FakeStreamer), is_model=False, pace="instant"),
    _cosyvoice_in("zero_shot"),
    _cosyvoice_in("cross_lingual"),
)
