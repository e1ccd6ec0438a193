"""What the tests of voices that converse do again and again."""

from typing import Final

from protocol.ids import ModelId, TurnId
from protocol.ports import Pcm
from tests.actors.tts_stage import ONE, Client, Stage
from tests.actors.tts_watching import idle
from tests.fakes.conversant import FakeConversant

MODEL: Final = ModelId("fake-conversant")
GOOD, LONG, ASKED = "Good morning to you.", "One two three four five six seven eight.", "What may it be?"
THREE, FOUR = TurnId(3), TurnId(4)


async def heard(stage: Stage, client: Client, *texts: str, turn: TurnId = ONE) -> Pcm:
    """A turn, to its end."""
    await stage.say(client, *texts, turn=turn)
    await stage.play_out(client)
    return client.sound(turn)


async def after(stage: Stage, name: str, *turns: str) -> Pcm:
    """What another session is told when it asks, after it has heard these."""
    client = await stage.client(name)
    for number, text in enumerate(turns, 1):
        await heard(stage, client, text, turn=TurnId(number))
    return await heard(stage, client, ASKED, turn=TurnId(len(turns) + 1))


async def context_of(stage: Stage, voice: FakeConversant) -> tuple[str, ...]:
    """What the only conversation that is left would speak after."""
    await idle(stage)
    (talk,) = voice.open_talks
    return talk.context
