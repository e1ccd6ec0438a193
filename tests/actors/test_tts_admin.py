"""What a TTS worker says of itself, does when told, and how it begins and ends."""

import asyncio

import pytest

from actors.tts_sessions import DRAIN_LIMIT_S, DRAIN_MOVE_S
from actors.tts_worker import TtsWorker
from actors.voices import Voice
from adapters.audio.mastering import calibrate
from protocol.errors import ModelUnavailable
from protocol.ids import ModelId, SessionId
from protocol.message import Message
from protocol.ports import Synthesizer
from protocol.speaking import EndSpeaking, SpeechFinished, StartSpeaking
from protocol.subjects import tts_command, worker
from protocol.workers import (
    Drain,
    GetCapabilities,
    ListModels,
    LoadModel,
    ModelsListed,
    UnloadModel,
    WorkerDescribed,
)
from tests.actors.tts_stage import MODEL, TEXT, WORKER, Stage, a_stage
from tests.fakes.bus import FakeBus
from tests.fakes.registry import FakeRegistry
from tests.fakes.voices import FakeSynthesizer

TWO = ModelId("fake-two")


async def described(stage: Stage, message: Message) -> WorkerDescribed:
    answer = await stage.bus.request(worker(WORKER), message)
    assert isinstance(answer, WorkerDescribed)
    return answer


async def refusal(stage: Stage, message: Message) -> str:
    """The code of it. On the bus all refusals look alike."""
    answer = await stage.bus.request(worker(WORKER), message)
    assert answer.type == "refused"
    return str(answer.code)


async def test_it_says_what_it_can() -> None:
    async with a_stage(FakeSynthesizer(), FakeSynthesizer(TWO)) as stage:
        said = (await described(stage, GetCapabilities())).worker
        assert (said.name, said.kind, said.state, said.sessions) == (WORKER, "tts", "ready", 0)
        assert said.models == (MODEL, TWO)
        assert said.resident_models == (MODEL,)
        assert said.capabilities.languages == ("en",)
        assert said.started_at > 0


async def test_it_lists_its_models_and_what_has_become_of_each() -> None:
    async with a_stage(FakeSynthesizer(), FakeSynthesizer(TWO)) as stage:
        listed = await stage.bus.request(worker(WORKER), ListModels())
        assert isinstance(listed, ModelsListed)
        assert [(m.model, m.state, m.is_default) for m in listed.models] == [
            (MODEL, "resident", True),
            (TWO, "known", False),
        ]


async def test_it_measures_itself() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play_out(client)
        said = (await described(stage, GetCapabilities())).worker
        assert said.sessions == 1
        assert 0.0 < said.metrics.rtf < 1.0


async def test_models_are_loaded_and_unloaded_on_demand() -> None:
    async with a_stage(FakeSynthesizer(), FakeSynthesizer(TWO)) as stage:
        assert (await described(stage, LoadModel(model=TWO))).worker.resident_models == (MODEL, TWO)
        await stage.client("s1", model=TWO)
        assert await refusal(stage, UnloadModel(model=TWO)) == "model-in-use"
        assert (await described(stage, UnloadModel(model=MODEL))).worker.resident_models == (TWO,)
        assert await refusal(stage, LoadModel(model=ModelId("nobody"))) == "no-such-model"


def a_worker(bus: FakeBus, registry: FakeRegistry, *voices: Voice) -> TtsWorker:
    return TtsWorker(name=WORKER, bus=bus, registry=registry, voices=voices, calibrate=calibrate)


def a_voice(synthesizer: Synthesizer) -> Voice:
    return Voice(model=synthesizer.model, languages=("en",), load=lambda: synthesizer)


async def test_it_announces_itself_when_it_is_warm_and_withdraws_at_the_end() -> None:
    bus, registry, voice = FakeBus(), FakeRegistry(), FakeSynthesizer()
    announced = asyncio.Event()
    await registry.watch(lambda *_: announced.set())
    stop = asyncio.Event()
    running = asyncio.create_task(a_worker(bus, registry, a_voice(voice)).run(stop))
    async with asyncio.timeout(10.0):
        await announced.wait()
        (said,) = registry.snapshot()
        assert (said.state, said.resident_models) == ("ready", (MODEL,))
        assert voice.steps > 0
        stop.set()
        await running
    assert registry.snapshot() == ()
    assert voice.closed
    assert bus.subscriptions == 0


async def test_a_worker_whose_voice_cannot_be_loaded_ends_with_the_reason_and_was_never_announced() -> None:
    def missing() -> Synthesizer:
        raise ModelUnavailable("the package hibari is missing: install hibari-tts")

    registry = FakeRegistry()
    running = a_worker(FakeBus(), registry, Voice(model=MODEL, languages=("en",), load=missing))
    with pytest.raises(ModelUnavailable, match="install hibari-tts"):
        await running.run(asyncio.Event())
    assert registry.snapshot() == ()


async def test_a_drained_worker_ends_as_soon_as_its_last_session_has_gone_elsewhere() -> None:
    async with a_stage() as stage:
        serving = asyncio.create_task(stage.worker._serve(asyncio.Event()))
        client = await stage.client()
        await described(stage, Drain())
        await stage.bus.settle()
        assert not serving.done()
        stage.command(EndSpeaking(session=client.session))
        async with asyncio.timeout(10.0):
            await serving


async def test_a_drained_worker_waits_for_a_bounded_time() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await described(stage, Drain())
        stage.time.now += DRAIN_MOVE_S + 1
        assert not stage.worker._sessions.is_drained
        stage.time.now += DRAIN_LIMIT_S
        assert stage.worker._sessions.is_drained


async def test_a_drained_worker_takes_nobody_new_speaks_its_turns_to_the_end_and_ends() -> None:
    async with a_stage() as stage:
        serving = asyncio.create_task(stage.worker._serve(asyncio.Event()))
        client = await stage.client()
        await stage.say(client, TEXT)
        assert (await described(stage, Drain())).worker.state == "draining"
        session = SessionId("s2")
        refused = await stage.bus.request(tts_command(session, WORKER), StartSpeaking(session=session))
        assert (refused.type, refused.code) == ("refused", "draining")
        await stage.play(5)
        assert not serving.done()
        await stage.play_out(client)
        assert stage.events(client, SpeechFinished)
        assert not serving.done()
        stage.command(EndSpeaking(session=client.session))
        async with asyncio.timeout(10.0):
            await serving
