"""A session keeps the model that it speaks with in memory, and lets go of it when it needs it no more."""

from actors.policies.resident import Limits
from protocol.ids import ModelId, SessionId
from protocol.speaking import EndSpeaking, SpeechFinished, StartSpeaking
from protocol.subjects import tts_command, worker
from protocol.workers import LoadModel, ModelState
from tests.actors.tts_stage import MODEL, ONE, TEXT, TWO, WORKER, Client, Stage, a_stage
from tests.fakes.voices import FakeSynthesizer

OTHER = ModelId("fake-two")


def voices() -> tuple[FakeSynthesizer, FakeSynthesizer]:
    return FakeSynthesizer(MODEL), FakeSynthesizer(OTHER)


def users(stage: Stage, model: ModelId) -> int:
    return next(status.users for status in stage.worker._models.statuses() if status.model == model)


def state(stage: Stage, model: ModelId) -> ModelState:
    return next(status.state for status in stage.worker._models.statuses() if status.model == model)


async def change_voice(stage: Stage, client: Client, model: ModelId) -> None:
    answer = await stage.bus.request(
        tts_command(client.session, WORKER), StartSpeaking(session=client.session, model=model)
    )
    assert answer.type == "ready"


async def test_users_are_counted_by_session_however_often_one_starts() -> None:
    async with a_stage(*voices()) as stage:
        first, _ = await stage.client("s1"), await stage.client("s2")
        assert users(stage, MODEL) == 2
        await change_voice(stage, first, MODEL)
        assert users(stage, MODEL) == 2
        await change_voice(stage, first, OTHER)
        assert (users(stage, MODEL), users(stage, OTHER)) == (1, 1)
        stage.command(EndSpeaking(session=first.session))
        await stage.bus.settle()
        assert (users(stage, MODEL), users(stage, OTHER)) == (1, 0)


async def test_a_turn_in_the_former_voice_keeps_it_until_its_last_frame() -> None:
    async with a_stage(*voices(), limits=Limits(resident_cap=1)) as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await change_voice(stage, client, OTHER)
        assert (users(stage, MODEL), users(stage, OTHER)) == (1, 1), "above the cap, since both are in use"
        await stage.play_out(client)
        assert stage.events(client, SpeechFinished)
        assert (users(stage, MODEL), state(stage, MODEL)) == (0, "known")
        await stage.say(client, TEXT, turn=TWO)
        await stage.play_out(client)
        assert len(client.sound(TWO)) == len(client.sound(ONE))


async def test_a_turn_that_was_prepared_and_not_begun_keeps_its_voice_too() -> None:
    async with a_stage(*voices(), limits=Limits(resident_cap=1)) as stage:
        client = await stage.client()
        client.gate.expect(ONE, held=True)
        stage.send_text(client, TEXT, last=False)
        await change_voice(stage, client, OTHER)
        assert users(stage, MODEL) == 1
        await stage.stop(client)
        assert (users(stage, MODEL), state(stage, MODEL)) == (0, "known")


async def test_of_three_voices_in_one_turn_only_the_one_that_sounds_and_the_next_are_kept() -> None:
    three = FakeSynthesizer("fake-three")
    async with a_stage(*voices(), three) as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await change_voice(stage, client, OTHER)
        await change_voice(stage, client, three.model)
        assert (users(stage, MODEL), users(stage, OTHER), users(stage, three.model)) == (1, 0, 1)
        await change_voice(stage, client, MODEL)
        await stage.play_out(client)
        assert (users(stage, MODEL), users(stage, three.model)) == (1, 0)


async def test_a_session_that_gives_no_sign_of_life_lets_go() -> None:
    async with a_stage(*voices(), forget_after_s=60.0) as stage:
        await stage.client()
        stage.time.advance(61.0)
        stage.worker._forget_silent()
        assert users(stage, MODEL) == 0


async def test_a_refused_start_holds_nothing_and_leaves_the_session_its_voice() -> None:
    async with a_stage(*voices(), limits=Limits(memory_cap_mb=1)) as stage:
        client = await stage.client()
        stage.worker._models._residency[OTHER].estimated_mb = 2
        answer = await stage.bus.request(
            tts_command(client.session, WORKER), StartSpeaking(session=client.session, model=OTHER)
        )
        assert (answer.type, answer.code) == ("refused", "no-room")
        assert (users(stage, MODEL), users(stage, OTHER)) == (1, 0)
        await stage.say(client, TEXT)
        await stage.play_out(client)


async def test_an_operator_cannot_take_the_place_of_a_voice_in_use() -> None:
    async with a_stage(*voices(), limits=Limits(resident_cap=1)) as stage:
        await stage.client()
        answer = await stage.bus.request(worker(WORKER), LoadModel(model=OTHER))
        assert (answer.type, answer.code) == ("refused", "no-room")
        stage.command(EndSpeaking(session=SessionId("s1")))
        answer = await stage.bus.request(worker(WORKER), LoadModel(model=OTHER))
        assert answer.worker.resident_models == (OTHER,)
