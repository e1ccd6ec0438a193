"""The hazards of NATS and nats-py that the bus takes away from everybody else."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from adapters.bus import metrics
from adapters.bus.first_connection import redacted
from adapters.bus.inbox import FrameInbox
from adapters.bus.nats import NatsBus
from adapters.server.child_process import ChildProcess
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.audio import MIC_FRAME, Frame, Kind, pack
from protocol.errors import BusUnavailable
from protocol.ids import Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.speaking import Pause, TextChunk
from protocol.subjects import Subject, mic_frames, tts_command

SESSION = SessionId("s1")
COMMANDS = tts_command(SESSION, WorkerName("tts-test-0"))
SOON_S = 10.0


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


async def turns_of(bus: NatsBus) -> "asyncio.Queue[int]":
    queue: asyncio.Queue[int] = asyncio.Queue()
    await bus.subscribe(COMMANDS, lambda _subject, message, _respond: queue.put_nowait(message.turn))
    return queue


async def soon(queue: "asyncio.Queue[int]") -> int:
    return await asyncio.wait_for(queue.get(), SOON_S)


async def down(bus: NatsBus) -> None:
    """Until it has noticed that the server is gone."""
    async with asyncio.timeout(SOON_S):
        while bus.is_connected:  # noqa: ASYNC110  # nobody but its own clients is told
            await asyncio.sleep(0.01)


def back(bus: NatsBus) -> asyncio.Event:
    event = asyncio.Event()
    bus.on_reconnect(event.set)
    return event


@asynccontextmanager
async def frozen(server: EmbeddedNats) -> AsyncIterator[None]:
    process = psutil.Process(server.pid)
    process.suspend()
    async with asyncio.timeout(SOON_S):
        while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110  # the kernel tells nobody
            await asyncio.sleep(0.001)
    try:
        yield
    finally:
        process.resume()


@pytest.fixture
async def guarded_url(tmp_path: Path) -> AsyncIterator[str]:
    """A server on which `reader` may subscribe to events only, and publish nothing."""
    port = EmbeddedNats(tmp_path / "unused")
    await port.start()
    await port.stop()
    conf = tmp_path / "guarded.conf"
    conf.write_text(
        f'listen: "127.0.0.1:{port.port}"\n'
        "authorization { users: [\n"
        '  { user: "reader", password: "secret",\n'
        '    permissions: { publish: { deny: ">" }, subscribe: { allow: ["control.session.>", "_INBOX.>"] } }}\n'
        "]}\n"
    )
    server = ChildProcess([str(binary()), "--config", str(conf)], log_file=tmp_path / "guarded.log")
    await server.start()
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port.port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
    yield f"nats://reader:secret@127.0.0.1:{port.port}"
    await server.stop()


async def test_the_first_connection_fails_fast_and_names_the_url_without_its_password() -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(BusUnavailable) as raised:
        await NatsBus.connect("nats://me:secret@127.0.0.1:1", name="test")
    assert str(raised.value) == "NATS is not available at nats://***@127.0.0.1:1: Connection refused"
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_wrong_password_fails_at_once_instead_of_being_tried_for_ever(guarded_url: str) -> None:
    with pytest.raises(BusUnavailable, match="Authorization Violation"):
        await NatsBus.connect(guarded_url.replace("secret", "wrong"), name="test")


async def test_one_server_of_several_is_enough(nats_server: EmbeddedNats) -> None:
    bus = await NatsBus.connect(["nats://127.0.0.1:1", nats_server.url], name="test")
    assert bus.is_connected
    await bus.close()


def test_what_is_shown_of_a_url_holds_no_credentials() -> None:
    assert redacted("nats://token@host:4222") == "nats://***@host:4222"
    assert redacted("host:4222") == "nats://host:4222"


async def test_a_subscription_that_is_not_allowed_is_refused_by_name(guarded_url: str) -> None:
    bus = await NatsBus.connect(guarded_url, name="test")
    with pytest.raises(BusUnavailable, match=r"does not allow us to subscribe to control\.tts"):
        await bus.subscribe(COMMANDS, lambda *_: None)
    await bus.close()


async def test_the_server_knows_of_a_subscription_when_it_returns(nats_server: EmbeddedNats, bus: NatsBus) -> None:
    peer = await NatsBus.connect(nats_server.url, name="peer")
    for turn in range(100):
        turns = await turns_of(bus)
        peer.publish(COMMANDS, pause(turn))
        assert await soon(turns) == turn
    await peer.close()


async def test_a_message_that_may_not_be_sent_is_counted_and_the_connection_lives(guarded_url: str) -> None:
    bus = await NatsBus.connect(guarded_url, name="test")
    denied = metrics.ERRORS.labels("permission")._value.get()
    bus.publish(COMMANDS, pause(1))
    await bus.client.flush()
    assert metrics.ERRORS.labels("permission")._value.get() == denied + 1
    assert bus.is_connected
    await bus.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_subscriptions_survive_a_restart_of_the_server(
    nats_server: EmbeddedNats, bus: NatsBus, end: signal.Signals
) -> None:
    turns, is_back = await turns_of(bus), back(bus)
    os.kill(nats_server.pid or 0, end)
    await nats_server.wait()
    await down(bus)
    await nats_server.start()
    await asyncio.wait_for(is_back.wait(), SOON_S)
    bus.publish(COMMANDS, pause(5))
    assert await soon(turns) == 5


async def test_what_was_said_while_the_server_was_down_arrives_in_order_also_at_peers(
    nats_server: EmbeddedNats, bus: NatsBus
) -> None:
    peer = await NatsBus.connect(nats_server.url, name="peer")
    turns = await turns_of(peer)
    await nats_server.stop()
    await down(bus)
    for turn in (1, 2, 3):
        bus.publish(COMMANDS, pause(turn))
    assert not bus.publish_frame(mic_frames(SESSION), frame(1)), "old sound is worse than none"
    await nats_server.start()
    assert [await soon(turns) for _ in range(3)] == [1, 2, 3]
    await peer.close()


async def test_reconnection_is_told_after_what_was_kept_has_left(nats_server: EmbeddedNats, bus: NatsBus) -> None:
    turns = await turns_of(bus)
    bus.on_reconnect(lambda: bus.publish(COMMANDS, pause(2)))
    await nats_server.stop()
    await down(bus)
    bus.publish(COMMANDS, pause(1))
    await nats_server.start()
    assert [await soon(turns), await soon(turns)] == [1, 2]


async def test_a_request_waits_for_the_connection_and_then_gives_up(nats_server: EmbeddedNats, bus: NatsBus) -> None:
    await nats_server.stop()
    await down(bus)
    with pytest.raises(BusUnavailable, match="no answer"):
        await bus.request(COMMANDS, pause(1), timeout_s=0.2)


@pytest.mark.realtime
async def test_a_server_that_freezes_is_noticed_although_the_send_buffer_is_full(
    nats_server: EmbeddedNats, bus: NatsBus
) -> None:
    is_back = back(bus)
    async with frozen(nats_server), asyncio.timeout(5):
        while bus.is_connected:
            for sequence in range(50):
                bus.publish_frame(mic_frames(SESSION), frame(sequence))
            await asyncio.sleep(0.01)
    await asyncio.wait_for(is_back.wait(), SOON_S)


async def test_an_answer_to_a_ping_that_nobody_awaits_any_more_does_no_harm(
    nats_server: EmbeddedNats, bus: NatsBus
) -> None:
    turns = await turns_of(bus)
    async with frozen(nats_server):
        with pytest.raises(TimeoutError):
            await bus.client.flush(timeout=0.05)  # type: ignore[arg-type]  # nats-py takes a float
    bus.publish(COMMANDS, pause(1))
    assert await soon(turns) == 1


async def test_an_error_that_nats_py_takes_for_the_end_is_the_beginning_of_a_new_connection(bus: NatsBus) -> None:
    turns, is_back = await turns_of(bus), back(bus)
    await bus.client._process_err("'Slow Consumer'")
    await asyncio.wait_for(is_back.wait(), SOON_S)
    bus.publish(COMMANDS, pause(1))
    assert await soon(turns) == 1


async def test_a_reading_task_that_dies_is_a_lost_connection(bus: NatsBus) -> None:
    turns, is_back = await turns_of(bus), back(bus)
    assert bus.client._reading_task is not None
    bus.client._reading_task.cancel()
    await asyncio.wait_for(is_back.wait(), SOON_S)
    bus.publish(COMMANDS, pause(1))
    assert await soon(turns) == 1


async def test_a_handler_that_raises_loses_its_message_and_no_other(bus: NatsBus) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    def fail_once(_subject: Subject, message: Any, _respond: object) -> None:
        if message.turn == 1:
            raise RuntimeError("a fault of ours")
        queue.put_nowait(message.turn)

    await bus.subscribe(COMMANDS, fail_once)
    bus.publish(COMMANDS, pause(1))
    bus.publish(COMMANDS, pause(2))
    assert await soon(queue) == 2


async def test_nonsense_is_counted_and_passed_over(bus: NatsBus) -> None:
    turns = await turns_of(bus)
    frames: asyncio.Queue[int] = asyncio.Queue()
    await bus.subscribe_frames(mic_frames(SESSION), lambda _subject, f: frames.put_nowait(f.sequence))
    messages = metrics.MALFORMED.labels("message")._value.get()
    sounds = metrics.MALFORMED.labels("frame")._value.get()
    for nonsense in (b"", b"{", b'{"type": "pause"}', b"\xff" * 100):
        await bus.client.publish(COMMANDS.replace("*", "pause"), nonsense)
        await bus.client.publish(mic_frames(SESSION), nonsense)
    bus.publish(COMMANDS, pause(9))
    bus.publish_frame(mic_frames(SESSION), frame(9))
    assert (await soon(turns), await soon(frames)) == (9, 9)
    assert metrics.MALFORMED.labels("message")._value.get() == messages + 4
    assert metrics.MALFORMED.labels("frame")._value.get() == sounds + 4


async def test_everything_said_in_one_breath_arrives_however_much_it_is(bus: NatsBus) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    await bus.subscribe(COMMANDS, lambda _subject, message, _respond: queue.put_nowait(message.index))
    for index in range(1500):
        bus.publish(COMMANDS, TextChunk(session=SESSION, turn=TurnId(1), index=index, text="x" * 2_000))
    assert [await soon(queue) for _ in range(1500)] == list(range(1500))


async def test_the_frames_of_a_hundred_sessions_in_one_round_are_no_congestion(bus: NatsBus) -> None:
    assert all(bus.publish_frame(mic_frames(SESSION), frame(sequence)) for sequence in range(100))


async def test_a_message_that_is_too_large_is_dropped_and_told_of(bus: NatsBus) -> None:
    turns = await turns_of(bus)
    dropped = metrics.DROPPED.labels("message-too-large")._value.get()
    bus.publish(COMMANDS, TextChunk(session=SESSION, turn=TurnId(1), index=0, text="x" * 70_000))
    bus.publish(COMMANDS, pause(2))
    assert await soon(turns) == 2
    assert metrics.DROPPED.labels("message-too-large")._value.get() == dropped + 1


class _Heard:
    """As much of nats-py's message as an inbox looks at."""

    def __init__(self, sequence: int) -> None:
        self.subject = mic_frames(SESSION)
        self.data = pack(frame(sequence))


async def test_of_too_many_frames_the_oldest_are_dropped() -> None:
    seen: list[int] = []
    inbox = FrameInbox(lambda _subject, received: seen.append(received.sequence), depth=3)
    for sequence in range(10):
        await inbox.deliver(_Heard(sequence))  # type: ignore[arg-type]  # see _Heard
    await asyncio.sleep(0)
    assert seen == [7, 8, 9]
