"""Voices that imitate a recording: which worker takes one, what is heard, and what is left when the session is over."""

import asyncio
from collections.abc import Callable

import numpy as np

from adapters.audio.mastering import calibrate
from protocol.ids import SessionId, TurnId
from protocol.message import Message
from protocol.ports import Pcm, Reference, SpeechShaper, Synthesizer
from protocol.refusals import Refusal
from protocol.speaking import EndSpeaking, SpeakingFailed, SpeakingReady, StartSpeaking
from protocol.subjects import tts_command, worker
from protocol.workers import UnloadModel
from tests.actors.tts_stage import ONE, TWO, WORKER, Client, Stage, a_stage
from tests.fakes.cloner import USELESS, FakeCloner
from tests.fakes.references import FakeReferenceStore
from tests.fakes.voices import FakeSynthesizer

RATE = 24_000


def a_hum(pitch: float, text: str = "What is said.") -> Reference:
    pcm = 0.3 * np.sin(2 * np.pi * pitch * np.arange(2 * RATE) / RATE)
    return Reference(pcm=pcm.astype(np.float32), sample_rate=RATE, text=text)


def pitch_of(sound: Pcm) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * 48_000 / len(sound))


async def start(stage: Stage, session: str, reference: str | None, model: str | None = None) -> Message:
    name = SessionId(session)
    command = StartSpeaking(session=name, model=model, reference=reference)  # type: ignore[arg-type]  # a test's name
    answer = await stage.bus.request(tts_command(name, WORKER), command)
    assert isinstance(answer, Message)
    return answer


async def refusal(stage: Stage, reference: str) -> tuple[str, str]:
    answer = await start(stage, "s1", reference)
    assert isinstance(answer, Refusal)
    return answer.code, answer.reason


async def heard(stage: Stage, client: Client, turn: TurnId = ONE) -> Pcm:
    await stage.say(client, "One two three four.", turn=turn)
    await stage.play_out(client)
    return client.sound(turn)


async def test_a_voice_that_can_imitate_speaks_with_the_recordings_own_samples() -> None:
    store, cloner = FakeReferenceStore(), FakeCloner()
    name = await store.put(a_hum(330.0))
    async with a_stage(cloner, references=store) as stage:
        imitating = await heard(stage, await stage.client("s1", reference=name))
        own = await heard(stage, await stage.client("s2"))
    assert abs(pitch_of(imitating) - 330.0) < 3.0
    assert abs(pitch_of(own) - 330.0) > 3.0
    (learned,) = cloner.imitated
    assert np.array_equal(learned.pcm, a_hum(330.0).pcm)


async def test_a_recording_is_fetched_and_learned_once() -> None:
    store, cloner = FakeReferenceStore(), FakeCloner()
    name = await store.put(a_hum(330.0), kept=True)
    async with a_stage(cloner, references=store) as stage:
        answers = await asyncio.gather(*(start(stage, f"s{i}", name) for i in range(4)))
        assert all(isinstance(answer, SpeakingReady) for answer in answers)
        assert isinstance(await start(stage, "s1", name), SpeakingReady)
        assert store.fetched == [name]
        assert len(cloner.imitated) == 1


async def test_two_sessions_are_heard_in_two_voices_at_the_same_time() -> None:
    store = FakeReferenceStore()
    low, high = await store.put(a_hum(200.0)), await store.put(a_hum(400.0))
    async with a_stage(FakeCloner(), references=store) as stage:
        one, two = await stage.client("s1", reference=low), await stage.client("s2", reference=high)
        await stage.say(one, "One two three.")
        await stage.say(two, "One two three.")
        await stage.play_out(one)
        await stage.play_out(two)
        assert abs(pitch_of(one.sound()) - 200.0) < 3.0
        assert abs(pitch_of(two.sound()) - 400.0) < 3.0


async def test_a_voice_that_cannot_imitate_refuses() -> None:
    store = FakeReferenceStore()
    name = await store.put(a_hum(330.0))
    async with a_stage(FakeSynthesizer(), references=store) as stage:
        code, reason = await refusal(stage, name)
        assert code == "no-such-capability"
        assert "cannot imitate" in reason
        assert not store.fetched


async def test_a_worker_says_whether_it_can_imitate() -> None:
    async with a_stage(FakeSynthesizer(), FakeCloner()) as stage:
        assert stage.worker.describe().capabilities.zero_shot
    async with a_stage(FakeSynthesizer()) as stage:
        assert not stage.worker.describe().capabilities.zero_shot


async def test_what_cannot_be_had_or_learned_is_refused_with_a_code() -> None:
    store = FakeReferenceStore()
    useless, taken = await store.put(a_hum(330.0, USELESS)), await store.put(a_hum(330.0))
    await store.claim(taken, SessionId("somebody-else"))
    async with a_stage(FakeCloner(), references=store) as stage:
        for name, code in (("nobody", "no-such-reference"), (taken, "no-such-reference"), (useless, "cannot-imitate")):
            assert (await refusal(stage, name))[0] == code
        store.reachable = False
        assert (await refusal(stage, useless))[0] == "reference-unreachable"
        store.reachable = True
        assert isinstance(await start(stage, "s1", None), SpeakingReady)


async def test_with_the_session_everything_of_the_recording_is_gone() -> None:
    store, cloner = FakeReferenceStore(), FakeCloner()
    name = await store.put(a_hum(330.0))
    async with a_stage(cloner, references=store) as stage:
        client = await stage.client("s1", reference=name)
        await heard(stage, client)
        await cloner.until_open(1)
        stage.command(EndSpeaking(session=client.session))
        await cloner.until_open(0)
        assert isinstance(await start(stage, "s1", name), SpeakingReady)
        assert store.fetched == [name, name]


async def test_a_turn_is_spoken_to_its_end_in_the_voice_that_it_began_with() -> None:
    store, cloner = FakeReferenceStore(), FakeCloner()
    low, high = await store.put(a_hum(200.0)), await store.put(a_hum(400.0))
    async with a_stage(cloner, references=store) as stage:
        client = await stage.client("s1", reference=low)
        await stage.say(client, "One two three", last=False)
        await stage.play(10)
        assert isinstance(await start(stage, "s1", high), SpeakingReady)
        await stage.say(client, " four five six.", index=1)
        await stage.play_out(client)
        assert abs(pitch_of(client.sound()) - 200.0) < 3.0
        second = await heard(stage, client, turn=TWO)
        assert abs(pitch_of(second) - 400.0) < 3.0
        await cloner.until_open(1)


async def test_a_session_that_imitates_nobody_any_more_speaks_in_the_voices_own_way() -> None:
    store, cloner = FakeReferenceStore(), FakeCloner()
    name = await store.put(a_hum(330.0))
    async with a_stage(cloner, references=store) as stage:
        client = await stage.client("s1", reference=name)
        await start(stage, "s1", None)
        assert abs(pitch_of(await heard(stage, client)) - 330.0) > 3.0
        await cloner.until_open(0)


async def test_an_imitation_that_fails_to_speak_fails_its_own_turn_only() -> None:
    store = FakeReferenceStore()
    name = await store.put(a_hum(330.0))
    async with a_stage(FakeCloner(), references=store) as stage:
        one, two = await stage.client("s1", reference=name), await stage.client("s2", reference=None)
        stage.send_text(one, "This is unspeakable today.")
        await stage.say(two, "All is well.")
        await stage.play_out(two)
        (failed,) = stage.events(one, SpeakingFailed)
        assert failed.code == "synthesis-failed"


async def test_a_recording_is_brought_to_its_own_level_by_a_model_that_was_loaded_again_too() -> None:
    """The model's own level is known by then, and is not that of a recording."""
    store, cloner = FakeReferenceStore(), FakeCloner()
    name = await store.put(a_hum(330.0))
    measured: list[Synthesizer] = []

    def note(synthesizer: Synthesizer) -> Callable[[], SpeechShaper]:
        measured.append(synthesizer)
        return calibrate(synthesizer)

    async with a_stage(cloner, references=store, calibrate=note) as stage:
        await stage.bus.request(worker(WORKER), UnloadModel(model=cloner.model))
        await heard(stage, await stage.client("s1", reference=name))
    assert measured[0] is cloner
    assert [one is cloner for one in measured] == [True, False]
