import asyncio
from dataclasses import dataclass, field

import pytest

from actors.gateway import Gateway, merged
from protocol.conversation import (
    Accepted,
    CloseSession,
    CommandRefused,
    Interrupt,
    Say,
    SessionClosed,
    SessionConfig,
    SessionOpened,
)
from protocol.errors import BusUnavailable, Refused
from protocol.ids import ModelId, SessionId, WorkerName
from protocol.ports import Conversation
from protocol.subjects import session_command
from protocol.workers import Announcement
from tests.fakes.bus import FakeBus
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.fakes.link import FakeLink
from tests.fakes.router import FakeRouter
from tests.fakes.session import Sessions

TTS = Announcement(name=WorkerName("tts-a"), addr="nats://a", models=(ModelId("heart"), ModelId("joe")))
ASR = Announcement(name=WorkerName("asr-a"), addr="nats://b", kind="asr")
DEFAULTS = SessionConfig(voice="heart", language="en", barge_in="words", system_prompt="be secretly brief")


@dataclass
class Stage:
    """A gateway and all that it meets."""

    bus: FakeBus = field(default_factory=FakeBus)
    ears: FakeDetector = field(default_factory=FakeDetector)
    clock: FakeClock = field(default_factory=FakeClock)
    sessions: Sessions = field(default_factory=Sessions)
    router: FakeRouter = field(default_factory=lambda: FakeRouter(TTS, ASR))
    gateway: Gateway = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = Gateway(
            bus=self.bus,
            choice=self.router,
            ears=self.ears,
            make_session=self.sessions,
            defaults=DEFAULTS,
            max_sessions=2,
            linger_s=30.0,
            call_later=self.clock.call_later,
            clock=self.clock,
        )

    async def open(self, config: SessionConfig | None = None) -> tuple[Conversation, SessionOpened, FakeLink]:
        link = FakeLink()
        conversation, opened = await self.gateway.open(config or SessionConfig(), link)
        return conversation, opened, link


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await stage.gateway.start()
    return stage


async def refusal(stage: Stage) -> str:
    with pytest.raises(Refused) as refused:
        await stage.open()
    return refused.value.code


async def test_a_session_gets_an_id_a_token_and_the_defaults_for_what_it_did_not_choose(stage: Stage) -> None:
    conversation, opened, _ = await stage.open(SessionConfig(voice="joe"))
    assert opened.session == conversation.session
    assert len(opened.token) >= 32
    assert opened.voices == ("heart", "joe")
    assert (opened.config.voice, opened.config.barge_in) == ("joe", "words")
    assert stage.sessions.only.config == merged(DEFAULTS, SessionConfig(voice="joe"))


async def test_the_deployments_prompt_stays_its_own(stage: Stage) -> None:
    _, opened, _ = await stage.open()
    assert opened.config.system_prompt is None
    assert stage.sessions.only.config.system_prompt == "be secretly brief"


async def test_no_two_sessions_share_an_id_or_a_token(stage: Stage) -> None:
    _, first, _ = await stage.open()
    _, second, _ = await stage.open()
    assert first.session != second.session
    assert first.token != second.token


async def test_one_session_too_many_is_refused_and_taken_when_another_ends(stage: Stage) -> None:
    conversation, _, _ = await stage.open()
    await stage.open()
    assert await refusal(stage) == "too-many-sessions"
    conversation.command(CloseSession())
    await stage.open()


async def test_sessions_that_open_at_once_are_counted(stage: Stage) -> None:
    outcomes = await asyncio.gather(*(stage.open() for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 3


async def test_without_a_bus_no_session_is_opened(stage: Stage) -> None:
    stage.bus.disconnect()
    assert await refusal(stage) == "not-ready"


async def test_a_session_that_finds_no_worker_is_refused_and_leaves_nothing_behind(stage: Stage) -> None:
    before = stage.bus.subscriptions
    stage.sessions.refusal = Refused("no-worker", "nobody speaks")
    link = FakeLink()
    with pytest.raises(Refused, match="no-worker"):
        await stage.gateway.open(SessionConfig(), link)
    assert stage.gateway.readiness().sessions == 0
    assert stage.bus.subscriptions == before
    assert not stage.ears.opened
    assert (link.told, link.disconnected) == ([], None), "the transport tells of the refusal, and only it"


async def test_a_bus_that_fails_in_between_is_a_refusal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: object, **_options: object) -> None:
        raise BusUnavailable("gone")

    monkeypatch.setattr(stage.bus, "subscribe_frames", fail)
    assert await refusal(stage) == "not-ready"


async def test_a_lost_client_may_come_back_with_its_token(stage: Stage) -> None:
    conversation, opened, link = await stage.open()
    conversation.detach(link)
    stage.clock.advance(29.9)
    again, resumed = await stage.gateway.resume(opened.session, opened.token, FakeLink())
    assert again is conversation
    assert resumed.resumed
    assert resumed.token == opened.token
    stage.clock.advance(60.0)
    assert stage.gateway.readiness().sessions == 1


async def test_a_client_that_does_not_come_back_in_time_has_lost_its_session(stage: Stage) -> None:
    conversation, opened, link = await stage.open()
    conversation.detach(link)
    stage.clock.advance(30.0)
    await stage.bus.settle()
    assert stage.sessions.only.closed == "the client did not come back"
    with pytest.raises(Refused, match="no-such-session"):
        await stage.gateway.resume(opened.session, opened.token, FakeLink())


@pytest.mark.parametrize("token", ["", "x", "x" * 32])
async def test_a_wrong_token_looks_like_no_session(stage: Stage, token: str) -> None:
    _, opened, link = await stage.open()
    reasons = []
    for session in (opened.session, SessionId("unknown")):
        with pytest.raises(Refused, match="no-such-session") as refused:
            await stage.gateway.resume(session, token, FakeLink())
        reasons.append(refused.value.reason)
    assert reasons[0] == reasons[1]
    assert link.disconnected is None


async def test_a_second_connection_takes_the_session_over(stage: Stage) -> None:
    conversation, opened, first = await stage.open()
    await stage.gateway.resume(opened.session, opened.token, FakeLink())
    assert first.disconnected is not None
    conversation.detach(first)
    stage.clock.advance(60.0)
    assert stage.gateway.readiness().sessions == 1


async def test_commands_on_the_bus_are_obeyed_and_answered(stage: Stage) -> None:
    _, opened, _ = await stage.open()
    answer = await stage.bus.request(session_command(opened.session), Say(text="hi"))
    assert isinstance(answer, Accepted)
    assert [m.text for m in stage.sessions.only.calls if isinstance(m, Say)] == ["hi"]
    stage.sessions.only.refusal = Refused("nothing-to-interrupt", "Nobody speaks.")
    answer = await stage.bus.request(session_command(opened.session), Interrupt())
    assert isinstance(answer, CommandRefused)


async def test_commands_for_a_session_of_another_gateway_are_not_answered(stage: Stage) -> None:
    await stage.open()
    with pytest.raises(BusUnavailable):
        await stage.bus.request(session_command(SessionId("elsewhere")), Say(text="hi"), timeout_s=0.01)


async def test_close_on_the_bus_ends_the_session(stage: Stage) -> None:
    _, opened, link = await stage.open()
    await stage.bus.request(session_command(opened.session), CloseSession())
    await stage.bus.settle()
    assert isinstance(link.told[-1], SessionClosed)
    assert link.disconnected is not None
    assert stage.gateway.readiness().sessions == 0


@pytest.mark.parametrize(
    ("break_it", "missing"),
    [
        (lambda s: s.bus.disconnect(), "NATS"),
        (lambda s: s.router.withdraw(ASR.name), "speech recognition"),
        (lambda s: s.router.withdraw(TTS.name), "voice"),
    ],
)
async def test_readiness_names_what_is_missing(stage: Stage, break_it: object, missing: str) -> None:
    assert stage.gateway.readiness().ready
    assert callable(break_it)
    break_it(stage)
    readiness = stage.gateway.readiness()
    assert not readiness.ready
    assert missing in readiness.missing[0]


async def test_a_full_gateway_is_not_ready(stage: Stage) -> None:
    await stage.open()
    assert stage.gateway.readiness().ready
    await stage.open()
    assert stage.gateway.readiness().missing == ("a free session",)


async def test_the_end_of_the_gateway_ends_all_sessions_and_refuses_new_ones(stage: Stage) -> None:
    links = [(await stage.open())[2] for _ in range(2)]
    await stage.gateway.close()
    assert [s.closed for s in stage.sessions.made] == ["the gateway is shutting down"] * 2
    assert all(link.disconnected for link in links)
    assert stage.bus.subscriptions == 0
    assert stage.clock.waiting == 0
    assert await refusal(stage) == "shutting-down"
