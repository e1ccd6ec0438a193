"""What the streaming interface promises of every voice: a real worker over a bus, each adapter behind it."""

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from protocol.audio import SPEECH_RATE
from protocol.ids import SessionId, TurnId
from protocol.ports import Pcm
from protocol.speaking import EndSpeaking, PhrasePlaced, SpeakingFailed, SpeechFinished, StartSpeaking, Stop
from protocol.subjects import tts_command
from tests.actors.tts_stage import TWO, WORKER, Client, Stage
from tests.actors.tts_watching import WatchedVoice, begin, hear_out, idle, look_into, the_actor, watched
from tests.adapters.remains import Remains
from tests.adapters.synthesizers import Adapter, each

TEXT = "Well, that depends on what you want, because there are many ways."
SHORT = "Yes, of course."
ODD = [
    "It costs $5.20, i.e. 5 km at 9:30am.",
    "Tabs\tand\nlines\r\nand a null\x00 in between, \x07\x1b[31m too.",
    "🙂🙃",
    "Hello 🙂 world!",
    "Hello, 你好, привет, مرحبا.",
    "<speak>Hello <break time='1s'/> there.</speak>",
    "<break/>",
    "½ × 3 = 1.5 & C++",  # noqa: RUF001  # a multiplication sign is meant
    "a" * 120,
    "...",
    " ",
]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=each())
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


async def alone(adapter: Adapter, *texts: str) -> Pcm:
    """What a turn sounds like when nobody disturbs it."""
    async with watched(adapter) as (stage, _):
        client = await stage.client("alone")
        begin(stage, client, *texts)
        await hear_out(stage, client)
        return client.sound()


_known: dict[tuple[str, tuple[str, ...]], Pcm] = {}


async def expected_of(adapter: Adapter, *texts: str) -> Pcm:
    """The same, once for all tests."""
    if (adapter.name, texts) not in _known:
        _known[adapter.name, texts] = await alone(adapter, *texts)
    return _known[adapter.name, texts]


@cache
def chunks_of(adapter: Adapter) -> int:
    return sum(1 for _ in adapter.make().synthesize(TEXT, language="en", speed=1.0))


def assert_same(adapter: Adapter, heard: Pcm, expected: Pcm) -> None:
    if adapter.repeatable:
        assert np.array_equal(heard, expected)
    else:
        assert len(heard) == pytest.approx(len(expected), rel=0.2)


def words_placed(stage: Stage, client: Client) -> list[str]:
    done = [p for p in stage.events(client, PhrasePlaced) if p.end is not None]
    return [word.text for placed in done for word in placed.words]


def assert_nothing_is_left(stage: Stage, voice: WatchedVoice) -> None:
    """Of any turn, at the model and on its thread. Only while it is idle."""
    ref = the_actor()
    assert voice.open_phrases == 0
    assert look_into(ref)._turns == {}
    assert ref.actor_inbox.empty()
    stage.time.advance(0.02)
    assert stage.time.waiting == 0  # nobody is on the pacer's grid


async def at_chunk(stage: Stage, voice: WatchedVoice, client: Client, index: int) -> int:
    """Begin a turn and stop the clock while chunk `index` is being computed; returns how many were before the turn."""
    before = len(voice.chunks)
    voice.hold()
    begin(stage, client, TEXT)
    for _ in range(index):
        await voice.chunk()
        voice.go()
    await voice.chunk()
    await stage.bus.settle()
    return before


@pytest.mark.parametrize("adapter", each("thorough"))
async def test_a_pause_at_any_chunk_bites_within_it_and_loses_nothing(adapter: Adapter) -> None:
    expected = await expected_of(adapter, TEXT)
    async with watched(adapter) as (stage, voice):
        for index in range(chunks_of(adapter)):
            client = await stage.client(f"s{index}")
            before = await at_chunk(stage, voice, client, index)
            await stage.pause(client)
            left = len(client.got)
            voice.free()
            await idle(stage)
            await stage.play(25)
            assert len(client.got) == left
            assert len(voice.chunks) - before <= index + 1
            await stage.resume(client)
            await hear_out(stage, client)
            assert_same(adapter, client.sound(), expected)


@pytest.mark.parametrize("adapter", each("thorough"))
async def test_a_stop_at_any_chunk_frees_the_thread_and_all_that_the_turn_held(adapter: Adapter) -> None:
    async with watched(adapter) as (stage, voice):
        for index in range(chunks_of(adapter)):
            client = await stage.client(f"s{index}")
            before = await at_chunk(stage, voice, client, index)
            await stage.stop(client)
            left = len(client.got)
            voice.free()
            await idle(stage)
            assert len(voice.chunks) - before == index + 1
            assert_nothing_is_left(stage, voice)
            await stage.play(25)
            assert len(client.got) == left


async def test_after_a_flush_there_is_silence_and_then_the_next_turn_whole(adapter: Adapter) -> None:
    expected = await expected_of(adapter, SHORT)
    async with watched(adapter) as (stage, _):
        client = await stage.client()
        begin(stage, client, TEXT)
        await idle(stage)
        await stage.play(20)
        await stage.stop(client)
        left, heard = len(client.got), len(client.heard)
        await idle(stage)
        await stage.play(50)
        assert (len(client.got), len(client.heard)) == (left, heard)
        begin(stage, client, SHORT, turn=TWO)
        await hear_out(stage, client)
        assert {frame.turn for frame in client.got[left:]} == {TWO}
        assert_same(adapter, client.sound(TWO), expected)


async def test_sessions_that_speak_at_the_same_time_sound_as_each_does_alone(adapter: Adapter) -> None:
    texts = [(TEXT,), (SHORT,), ("One, two, three.", SHORT)]
    expected = [await expected_of(adapter, *pieces) for pieces in texts]
    async with watched(adapter) as (stage, _):
        clients = [await stage.client(f"s{i}") for i in range(len(texts))]
        for client, pieces in zip(clients, texts, strict=True):
            begin(stage, client, *pieces)
        for client in clients:
            await hear_out(stage, client)
        for client, one in zip(clients, expected, strict=True):
            assert_same(adapter, client.sound(), one)


async def test_text_that_comes_late_sounds_as_if_it_had_come_at_once(adapter: Adapter) -> None:
    pieces = ("One, two, three.", SHORT)
    expected = await expected_of(adapter, *pieces)
    async with watched(adapter) as (stage, _):
        client = await stage.client()
        begin(stage, client, pieces[0], last=False)
        await idle(stage)
        await stage.play(150)  # it was played, and the next piece is awaited in silence
        stage.send_text(client, pieces[1], index=1, last=False)
        await idle(stage)
        stage.send_text(client, "", index=2)
        await hear_out(stage, client)
        assert_same(adapter, client.sound(), expected)


async def test_text_in_pieces_has_the_words_of_text_at_once(adapter: Adapter) -> None:
    async with watched(adapter) as (stage, _):
        at_once, in_pieces = await stage.client("s1"), await stage.client("s2")
        begin(stage, at_once, "One, two, three. Yes, of course.")
        begin(stage, in_pieces, "One, two,", "three.", "Yes, of", "course.")
        for client in (at_once, in_pieces):
            await hear_out(stage, client)
            assert words_placed(stage, client) == ["One,", "two,", "three.", "Yes,", "of", "course."]


async def test_a_turn_of_odd_pieces_is_spoken_to_its_end(adapter: Adapter) -> None:
    async with watched(adapter) as (stage, voice):
        client = await stage.client()
        begin(stage, client, *ODD, SHORT)
        await hear_out(stage, client)
        assert not stage.events(client, SpeakingFailed)
        assert len(stage.events(client, SpeechFinished)) == 1
        assert voice.chunks[-1] == SHORT
        assert_nothing_is_left(stage, voice)
        assert stage.bus.malformed == 0


async def test_a_text_without_end_is_made_no_further_ahead_than_is_played_and_stops_at_once(adapter: Adapter) -> None:
    async with watched(adapter, ahead_s=1.0) as (stage, voice):
        client = await stage.client()
        begin(stage, client, ("This is one of very many sentences, and they go on. " * 77)[:4_000])
        await idle(stage)
        (turn,) = look_into(the_actor())._turns.values()
        assert turn.rendition.samples / SPEECH_RATE < 1.0 + adapter.first_chunk_s
        await stage.stop(client)
        await idle(stage)
        assert_nothing_is_left(stage, voice)


async def test_a_voice_slower_than_speech_leaves_gaps_and_loses_no_word(adapter: Adapter) -> None:
    """Each chunk comes out only when the client has played all that there is and heard silence for a while."""
    expected = await expected_of(adapter, TEXT)
    async with watched(adapter) as (stage, voice):
        client = await stage.client()
        voice.hold()
        begin(stage, client, TEXT)
        gaps = 0
        for _ in range(chunks_of(adapter)):
            await voice.chunk()
            await stage.bus.settle()
            for _ in range(500):
                if not client.gate.queued:
                    break
                await stage.play(1)
            heard = len(client.heard)
            await stage.play(10)
            assert len(client.heard) == heard
            gaps += bool(heard)
            voice.go()
        await hear_out(stage, client)
        assert gaps == chunks_of(adapter) - 1
        assert_same(adapter, client.sound(), expected)
        assert words_placed(stage, client) == TEXT.split()


async def test_sessions_at_one_voice_take_turns_and_the_queue_is_announced(adapter: Adapter) -> None:
    pieces = ("One, two, three.", SHORT, SHORT)
    async with watched(adapter) as (stage, voice):
        clients = [await stage.client(f"s{i}") for i in range(2)]
        voice.hold()
        for client in clients:
            begin(stage, client, *pieces)
        await voice.chunk()
        await stage.bus.settle()
        assert stage.worker.describe().metrics.queue_depth == 6
        voice.free()
        for client in clients:
            await hear_out(stage, client)
        assert stage.worker.describe().metrics.queue_depth == 0
        order = [p.session for p in stage.bus.said(PhrasePlaced) if p.end is not None]
        assert len(order) == 6
        for session in ("s0", "s1"):
            assert session in order[:3]  # nobody waits for all that another one has to say


@pytest.mark.parametrize("adapter", each("thousand"))
async def test_turns_started_and_stopped_leave_nothing(adapter: Adapter) -> None:
    """Some are stopped before they sound, some while they do, some are heard out."""
    first = adapter.starts // 5
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # a thread that begins late is 21 objects
    await asyncio.to_thread(int)
    async with watched(adapter) as (stage, voice):
        await _start_and_stop(stage, range(first))
        was, before = _alive(stage), Remains.now()
        await _start_and_stop(stage, range(first, adapter.starts))
        assert_nothing_is_left(stage, voice)
        assert stage.worker.describe().sessions == 0
        assert _alive(stage) == was
        Remains.now().assert_no_more_than(before, starts=adapter.starts - first)


def _alive(stage: Stage) -> tuple[int, int, int]:
    """Threads (but for those that `asyncio.to_thread` keeps), tasks, subscriptions."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(threads), len(asyncio.all_tasks()), stage.bus.subscriptions


async def _start_and_stop(stage: Stage, numbers: Iterable[int]) -> None:
    for number in numbers:
        session, how = SessionId(f"s{number}"), number % 3
        to = tts_command(session, WORKER)
        client = Client(session, stage.bus)
        await stage.bus.request(to, StartSpeaking(session=session))
        begin(stage, client, "Yes.")
        if how:
            await idle(stage)
            stage.time.advance(1.0 if how == 2 else 0.04)
        stage.command(Stop(session=session, turn=TurnId(1)))
        stage.command(EndSpeaking(session=session))
        await stage.bus.settle()
        stage.bus.published.clear()  # a record of what was said would be the leak
        stage.bus.frames.clear()
    await idle(stage)
