"""A session asks for a voice whose weights nobody has pulled: it hears how to get them, and goes on."""

from pathlib import Path

import pytest

from protocol.conversation import CommandRefused, Configure, SessionConfig
from protocol.errors import Refused
from tests.adapters.voicepacks.shelf import put
from tests.clients.websocket import WebSocketClient
from tests.e2e.system import System

pytestmark = [pytest.mark.system, pytest.mark.models]

VOICE = "piper-nowhere"
ADVICE = f"it is not pulled: antiphon voices pull {VOICE}, then antiphon models reload"
SOURCE = {"hub": "nobody/nowhere", "revision": "0" * 40, "files": [{"path": "a.onnx"}]}


async def test_a_session_hears_how_to_get_a_voice_that_was_not_pulled(tmp_path: Path) -> None:
    put(tmp_path / "packs", "piper/nowhere", source=SOURCE)
    environment = {"ANTIPHON_VOICEPACKS_DIR": str(tmp_path / "packs")}
    with System(tmp_path / "up", tts=("hibari",), environment=environment) as system:
        async with await WebSocketClient.open(system.url) as client:
            await client.tell(Configure(config=SessionConfig(voice=VOICE)))
            refused = await client.event(CommandRefused)
            assert refused.code == "no-such-model"
            assert refused.reason == f"no worker has {VOICE}; there are: hibari-heart; {ADVICE}"
            await client.say("Still here.")
            await client.whole_turn(1)
        with pytest.raises(Refused, match=ADVICE):
            await WebSocketClient.open(system.url, SessionConfig(voice=VOICE))
