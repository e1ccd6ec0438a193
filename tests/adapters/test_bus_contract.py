"""What every bus promises (`protocol.ports.Bus`): the real one and the one in memory."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import MIC_FRAME, Frame, Kind
from protocol.errors import BusUnavailable, NobodyListens
from protocol.ids import ModelId, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.message import Message
from protocol.ports import Bus, Respond
from protocol.speaking import Pause, SpeakingReady, StartSpeaking, Stop
from protocol.subjects import ANY_SESSION, Subject, mic_frames, tts_command
from tests.fakes.bus import FakeBus

SESSION = SessionId("s1")
WORKER = WorkerName("tts-test-0")
COMMANDS = tts_command(SESSION, WORKER)
SOON_S = 5.0


@pytest.fixture(params=["memory", "nats"])
async def any_bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    if request.param == "memory":
        yield FakeBus()
        return
    server = EmbeddedNats(tmp_path)
    await server.start()
    connected = await NatsBus.connect(server.url, name="contract")
    yield connected
    await connected.close()
    await server.stop()


class Inbox:
    """Collects what comes, and waits for it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Subject, Any, Respond | None]] = asyncio.Queue()

    def __call__(self, subject: Subject, message: Any, respond: Respond | None = None) -> None:
        self._queue.put_nowait((subject, message, respond))

    async def next(self) -> tuple[Subject, Any, Respond | None]:
        return await asyncio.wait_for(self._queue.get(), SOON_S)

    async def next_message(self) -> Any:
        return (await self.next())[1]

    @property
    def is_empty(self) -> bool:
        return self._queue.empty()


def pause(turn: int) -> Pause:
    return Pause(session=SESSION, turn=TurnId(turn))


def frame(sequence: int) -> Frame:
    return Frame(
        kind=Kind.MICROPHONE,
        turn=TurnId(0),
        sequence=sequence,
        position=Samples(sequence * MIC_FRAME),
        captured_at=UnixMicros(1),
        pcm=bytes(2 * MIC_FRAME),
    )


async def test_a_message_arrives_with_its_subject_and_the_time_it_was_sent(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe(COMMANDS, inbox)
    any_bus.publish(tts_command(SESSION, WORKER, "pause"), pause(3))
    subject, message, respond = await inbox.next()
    assert subject == "control.tts.s1.tts-test-0.pause"
    assert message.turn == 3
    assert message.sent_at > 0
    assert respond is None


async def test_a_star_at_the_end_of_a_subject_becomes_the_message_s_type(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe(COMMANDS, inbox)
    any_bus.publish(COMMANDS, Stop(session=SESSION, turn=TurnId(1)))
    assert (await inbox.next())[0].endswith(".stop")


async def test_messages_of_a_subscription_come_in_order(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe(COMMANDS, inbox)
    for turn in range(500):
        any_bus.publish(COMMANDS, pause(turn))
    assert [(await inbox.next_message()).turn for _ in range(500)] == list(range(500))


async def test_only_what_a_pattern_covers_comes(any_bus: Bus) -> None:
    of_worker, of_other = Inbox(), Inbox()
    await any_bus.subscribe(tts_command(ANY_SESSION, WORKER), of_worker)
    await any_bus.subscribe(tts_command(ANY_SESSION, WorkerName("other")), of_other)
    any_bus.publish(COMMANDS, pause(1))
    await of_worker.next()
    any_bus.publish(tts_command(SESSION, WorkerName("other")), pause(2))
    assert (await of_other.next_message()).turn == 2
    assert of_worker.is_empty


async def test_a_message_on_the_wrong_subject_is_passed_over(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe(COMMANDS, inbox)
    any_bus.publish(tts_command(SESSION, WORKER, "stop"), pause(1))
    any_bus.publish(COMMANDS, pause(2))
    assert (await inbox.next_message()).turn == 2


async def test_a_request_returns_the_answer(any_bus: Bus) -> None:
    def answer(_subject: Subject, message: Message, respond: Respond | None) -> None:
        assert isinstance(message, StartSpeaking)
        assert respond is not None
        respond(SpeakingReady(session=SESSION, model=ModelId("m"), sample_rate=24_000, resident=True))

    await any_bus.subscribe(COMMANDS, answer)
    reply = await any_bus.request(COMMANDS, StartSpeaking(session=SESSION))
    assert isinstance(reply, SpeakingReady)


async def test_a_request_to_nobody_fails_at_once(any_bus: Bus) -> None:
    with pytest.raises(NobodyListens, match="nobody listens"):
        await any_bus.request(COMMANDS, StartSpeaking(session=SESSION), timeout_s=60)


async def test_a_request_that_is_not_answered_fails_in_time(any_bus: Bus) -> None:
    await any_bus.subscribe(COMMANDS, Inbox())
    with pytest.raises(BusUnavailable, match=r"within 0\.1 s"):
        await any_bus.request(COMMANDS, StartSpeaking(session=SESSION), timeout_s=0.1)


async def test_nothing_comes_after_a_subscription_was_cancelled(any_bus: Bus) -> None:
    ended, going_on = Inbox(), Inbox()
    subscription = await any_bus.subscribe(COMMANDS, ended)
    await any_bus.subscribe(COMMANDS, going_on)
    any_bus.publish(COMMANDS, pause(1))
    subscription.cancel()
    subscription.cancel()
    await going_on.next()
    any_bus.publish(COMMANDS, pause(2))
    await going_on.next()
    assert ended.is_empty


async def test_each_message_goes_to_one_of_a_queue_group(any_bus: Bus) -> None:
    members, everybody = Inbox(), Inbox()
    await any_bus.subscribe(COMMANDS, members, queue="group")
    await any_bus.subscribe(COMMANDS, members, queue="group")
    await any_bus.subscribe(COMMANDS, everybody)
    for turn in range(20):
        any_bus.publish(COMMANDS, pause(turn))
    for _ in range(20):
        await everybody.next()
    turns = sorted([(await members.next_message()).turn for _ in range(20)])
    assert turns == list(range(20))
    assert members.is_empty


async def test_frames_arrive_as_they_were_sent(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe_frames(mic_frames(SESSION), inbox)
    assert any_bus.publish_frame(mic_frames(SESSION), frame(7))
    subject, received, _ = await inbox.next()
    assert (subject, received) == ("audio.frames.s1.mic", frame(7))


async def test_of_many_frames_the_latest_one_comes_and_none_comes_out_of_order(any_bus: Bus) -> None:
    inbox = Inbox()
    await any_bus.subscribe_frames(mic_frames(SESSION), inbox, depth=3)
    for sequence in range(40):
        any_bus.publish_frame(mic_frames(SESSION), frame(sequence))
    seen = [(await inbox.next_message()).sequence]
    while seen[-1] != 39:
        seen.append((await inbox.next_message()).sequence)
    assert seen == sorted(seen)


async def test_a_closed_bus_takes_everything_and_sends_nothing(any_bus: Bus) -> None:
    await any_bus.close()
    any_bus.publish(COMMANDS, pause(1))
    assert not any_bus.publish_frame(mic_frames(SESSION), frame(1))
    await any_bus.close()


async def test_who_listened_is_let_go_at_once(any_bus: Bus) -> None:
    """Sessions come and go: what they held must not wait for the garbage collector."""
    messages, frames = Inbox(), Inbox()
    subscriptions = [
        await any_bus.subscribe(COMMANDS, messages),
        await any_bus.subscribe_frames(mic_frames(SESSION), frames),
    ]
    any_bus.publish(tts_command(SESSION, WORKER, "pause"), pause(1))
    any_bus.publish_frame(mic_frames(SESSION), frame(0))
    await messages.next()
    await frames.next()
    gone = [asyncio.get_running_loop().create_future() for _ in subscriptions]
    for listener, future in zip((messages, frames), gone, strict=True):
        weakref.finalize(listener, future.set_result, None)
    gc.disable()
    try:
        for subscription in subscriptions:
            subscription.cancel()
        del messages, frames, listener
        await asyncio.wait_for(asyncio.gather(*gone), SOON_S)
    finally:
        gc.enable()


async def test_who_gives_up_subscribing_hears_nothing(any_bus: Bus) -> None:
    left: list[Inbox] = []
    for rounds in range(8):
        inbox = Inbox()
        subscribing = asyncio.create_task(any_bus.subscribe(COMMANDS, inbox))
        for _ in range(rounds):
            await asyncio.sleep(0)
        if not subscribing.cancel():
            subscribing.result().cancel()
        else:
            with pytest.raises(asyncio.CancelledError):
                await subscribing
            left.append(inbox)
    assert left, "nobody gave up"
    stays = Inbox()
    await any_bus.subscribe(COMMANDS, stays)
    any_bus.publish(tts_command(SESSION, WORKER, "pause"), pause(1))
    await stays.next()
    assert all(inbox.is_empty for inbox in left)
