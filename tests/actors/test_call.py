import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.call import Call
from protocol.audio import SPEECH_FRAME, Frame, Kind
from protocol.conversation import (
    ClientPlayout,
    CloseSession,
    Interrupt,
    OpenSession,
    ResumeSession,
    SessionClosed,
    SessionConfig,
    SessionOpened,
    StateChanged,
)
from protocol.errors import GatewayUnavailable, Refused
from protocol.ids import Samples, SessionId, TurnId, UnixMicros
from protocol.message import Message
from protocol.ports import GatewayConnection

SESSION = SessionId("s-1")
TOKEN = "0123456789abcdef"
THINKING = StateChanged(session=SESSION, state="THINKING")
SOUND = bytes(640)


class FakeConnection:
    """Implements `protocol.ports.GatewayConnection`: the test gives what comes down, and loses it with None."""

    def __init__(self) -> None:
        self.down: asyncio.Queue[Message | Frame | None] = asyncio.Queue()
        self.up: list[Message | bytes] = []
        self.sent = asyncio.Event()
        self.closed = False

    async def hear(self, pcm: bytes) -> None:
        self._keep(pcm)

    async def tell(self, message: Message) -> None:
        self._keep(message)
        if isinstance(message, CloseSession):
            self.down.put_nowait(SessionClosed(session=SESSION, reason="closed by the client"))

    def _keep(self, sent: Message | bytes) -> None:
        self.up.append(sent)
        self.sent.set()

    async def received(self) -> AsyncIterator[Message | Frame]:
        while (one := await self.down.get()) is not None:
            yield one

    async def close(self) -> None:
        self.closed = True


class Telephone:
    """Dials: each answer is a connection, or an error."""

    def __init__(self, *answers: FakeConnection | Exception, resumed: bool = True) -> None:
        self._answers = list(answers)
        self._resumed = resumed
        self.dialled: list[OpenSession | ResumeSession] = []
        self.told: list[Message] = []
        self.frames: list[Frame] = []
        self.lost = 0
        self.changed = asyncio.Event()
        self.is_lost = asyncio.Event()

    def call(self, *, come_back_s: float = 5.0) -> Call:
        return Call(
            self._dial,
            SessionConfig(),
            on_message=self._on_message,
            on_frame=self.frames.append,
            heard=lambda: (TurnId(3), Samples(960)),
            on_lost=self._on_lost,
            come_back_s=come_back_s,
        )

    async def _dial(self, first: OpenSession | ResumeSession) -> tuple[GatewayConnection, SessionOpened]:
        self.dialled.append(first)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        resumed = isinstance(first, ResumeSession)
        return answer, SessionOpened(session=SESSION, token=TOKEN, config=SessionConfig(), resumed=resumed)

    def _on_message(self, message: Message) -> None:
        self.told.append(message)
        self.changed.set()

    def _on_lost(self) -> None:
        self.lost += 1
        self.is_lost.set()

    async def until_told(self, kind: type[Message]) -> None:
        async with asyncio.timeout(5):
            while not any(isinstance(message, kind) for message in self.told):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.call._FIRST_PAUSE_S", 0.001)


async def test_messages_and_frames_reach_their_call_backs() -> None:
    line = FakeConnection()
    telephone = Telephone(line)
    call = telephone.call()
    await call.begin()
    frame = Frame(
        kind=Kind.SPEECH,
        turn=TurnId(1),
        sequence=0,
        position=Samples(0),
        captured_at=UnixMicros(0),
        pcm=bytes(2 * SPEECH_FRAME),
    )
    for one in (THINKING, frame, SessionClosed(session=SESSION, reason="over")):
        line.down.put_nowait(one)
    async with asyncio.timeout(5):
        await call.run()
    assert telephone.told == [THINKING, SessionClosed(session=SESSION, reason="over")]
    assert telephone.frames == [frame]
    assert line.closed
    assert CloseSession() not in line.up, "a session that is over needs no goodbye"


async def test_a_lost_connection_is_dialled_until_it_answers_and_says_what_was_heard() -> None:
    first, second = FakeConnection(), FakeConnection()
    gone = GatewayUnavailable("nobody there")
    telephone = Telephone(first, gone, gone, second)
    call = telephone.call()
    await call.begin()
    running = asyncio.create_task(call.run())
    first.down.put_nowait(None)
    await telephone.until_told(SessionOpened)
    assert telephone.dialled[1:] == [ResumeSession(session=SESSION, token=TOKEN)] * 3
    assert second.up[0] == ClientPlayout(turn=TurnId(3), played=Samples(960))
    assert telephone.lost == 1
    assert first.closed
    await call.hang_up()
    await running


async def test_a_connection_that_does_not_come_back_is_given_up() -> None:
    line = FakeConnection()
    telephone = Telephone(line, GatewayUnavailable("nobody there"))
    call = telephone.call(come_back_s=0.01)
    await call.begin()
    line.down.put_nowait(None)
    async with asyncio.timeout(5):
        with pytest.raises(GatewayUnavailable, match="the connection is lost: nobody there"):
            await call.run()


async def test_a_forgotten_session_is_opened_anew_and_hears_nothing_of_the_old_one() -> None:
    first, second = FakeConnection(), FakeConnection()
    telephone = Telephone(first, Refused("no-such-session", "over"), second)
    call = telephone.call()
    await call.begin()
    running = asyncio.create_task(call.run())
    first.down.put_nowait(None)
    await telephone.until_told(SessionOpened)
    assert isinstance(telephone.dialled[-1], OpenSession)
    assert second.up == []
    await call.hang_up()
    await running


async def test_another_refusal_ends_the_call() -> None:
    line = FakeConnection()
    telephone = Telephone(line, Refused("unauthorized", "the key was changed"))
    call = telephone.call()
    await call.begin()
    line.down.put_nowait(None)
    async with asyncio.timeout(5):
        with pytest.raises(Refused, match="key was changed"):
            await call.run()


async def test_commands_wait_for_a_connection_and_old_sound_does_not() -> None:
    first, second = FakeConnection(), FakeConnection()
    telephone = Telephone(first, GatewayUnavailable("nobody there"), second)
    call = telephone.call()
    await call.begin()
    running = asyncio.create_task(call.run())
    first.down.put_nowait(None)
    async with asyncio.timeout(5):
        await telephone.is_lost.wait()
    call.tell(Interrupt())
    call.hear(SOUND)
    await telephone.until_told(SessionOpened)
    async with asyncio.timeout(5):
        while Interrupt() not in second.up:
            second.sent.clear()
            await second.sent.wait()
    assert SOUND not in second.up
    await call.hang_up()
    await running


async def test_sound_that_cannot_be_sent_does_not_pile_up() -> None:
    line = FakeConnection()
    call = Telephone(line).call()
    for _ in range(1_000):
        call.hear(SOUND)
    await call.begin()
    running = asyncio.create_task(call.run())
    async with asyncio.timeout(5):
        await line.sent.wait()
    await call.hang_up()
    await running
    assert line.up.count(SOUND) == 25


async def test_hanging_up_says_goodbye_once_and_cancelling_does_too() -> None:
    for cancel in (False, True):
        line = FakeConnection()
        call = Telephone(line).call()
        await call.begin()
        running = asyncio.create_task(call.run())
        await asyncio.sleep(0)
        if cancel:
            running.cancel()
        else:
            await call.hang_up()
            await call.hang_up()
        await asyncio.wait([running], timeout=5)
        assert line.up == [CloseSession()]
        assert line.closed


async def test_nobody_to_call_is_told_at_once() -> None:
    with pytest.raises(GatewayUnavailable, match="nobody there"):
        await Telephone(GatewayUnavailable("nobody there")).call().begin()
