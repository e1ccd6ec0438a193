"""What the tests of a TTS worker do again and again."""

from typing import Any

from protocol.ids import SessionId
from protocol.ports import Pcm
from protocol.speaking import StartSpeaking
from protocol.subjects import tts_command
from tests.actors.tts_stage import WORKER, Stage, a_stage


async def uninterrupted(*texts: str) -> Pcm:
    """What a turn sounds like when nobody disturbs it."""
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, *texts)
        await stage.play_out(client)
        return client.sound()


async def start(stage: Stage, name: str, **options: object) -> Any:
    """The worker's answer to a session that wants a voice."""
    session = SessionId(name)
    message = StartSpeaking(session=session, **options)  # type: ignore[arg-type]  # the tests' own
    return await stage.bus.request(tts_command(session, WORKER), message)
