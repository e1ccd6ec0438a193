"""What a gateway writes of its sessions, stepped by hand."""

import dataclasses
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from actors.directory import Directory
from actors.sessions.standing import Standing
from protocol.conversation import Configure, Heard, Say, SessionConfig
from protocol.directory import SessionEntry
from protocol.errors import Refused
from protocol.ids import ModelId, SessionId, TurnId, WorkerName
from tests.actors.session_stage import ASR, OTHER_TTS, SID, TTS, Stage, asr_worker, tts_worker
from tests.fakes.clock import FakeClock
from tests.fakes.directory import FakeDirectory
from tests.fakes.router import FakeRouter

HIBARI, PIPER = ModelId("hibari-heart"), ModelId("piper-joe")
SPARE_EARS = WorkerName("asr-whisper-1")


class Told:
    """A directory, and a session that tells it."""

    def __init__(self, *scripts: str) -> None:
        self.written = FakeDirectory()
        self.clock = FakeClock(1_000.0)
        self.directory = Directory(self.written, gateway="gateway-7", wall_clock=self.clock)
        router = FakeRouter(tts_worker(), tts_worker(OTHER_TTS, PIPER), asr_worker())
        self.stage = Stage(*([text] for text in scripts), router=router, note=self.directory.note)

    async def open(self) -> "Told":
        await self.stage.serve_tts(OTHER_TTS)
        await self.stage.open()
        return self

    @property
    def last(self) -> SessionEntry:
        return self.written.written[-1]

    def states(self) -> list[tuple[str, TurnId]]:
        return [(entry.state, entry.turn) for entry in self.written.written]


async def test_a_session_that_opens_is_written_with_all_that_serves_it() -> None:
    told = await Told().open()
    assert told.written.written == [
        SessionEntry(
            session=SID,
            gateway="gateway-7",
            state="LISTENING",
            turn=TurnId(0),
            history=0,
            language="en",
            tts_worker=TTS,
            tts_model=HIBARI,
            asr_worker=ASR,
            opened_at=told.last.opened_at,
            updated_at=told.last.opened_at,
        )
    ]
    assert told.last.opened_at == 1_000_000_000


async def test_a_session_that_finds_no_worker_is_never_written() -> None:
    told = Told()
    told.stage.router.withdraw(ASR)
    with pytest.raises(Refused):
        await told.open()
    await told.stage.session.close("could not be opened")
    assert (told.written.written, told.written.removed) == ([], [])


async def test_one_that_is_closed_while_it_opens_is_never_written() -> None:
    told = Told()
    await told.stage.serve_tts(TTS)
    await told.stage.serve_asr(ASR)
    await told.stage.session.close("the client has gone")
    await told.stage.session.start()
    assert told.written.written == []


async def test_a_turn_is_followed_from_the_question_to_the_end_of_the_answer() -> None:
    told = await Told("One two three four.").open()
    told.clock.advance(5.0)
    await told.stage.ask("Count.")
    await told.stage.advance(1_000)
    told.stage.frames(1, 10, last=True)
    await told.stage.place(1, 0, "One two three four.", 0, 10)
    await told.stage.play(12)
    turns = [state for state in told.states() if state[1]]
    assert [state for n, (state, _) in enumerate(turns) if n == 0 or turns[n - 1][0] != state] == [
        "THINKING",
        "SPEAKING",
        "LISTENING",
    ]
    assert {turn for _, turn in turns} == {1}
    assert told.last.history == 2, "the question, and what was heard of the answer"
    assert told.last.updated_at == told.last.opened_at + 5_000_000
    assert told.stage.told(Heard)


async def test_nothing_is_written_while_nothing_changes() -> None:
    told = await Told("One two three four.").open()
    await told.stage.advance(60_000)
    told.stage.router.announce(replace(tts_worker(), sessions=1))
    await told.stage.bus.settle()
    assert len(told.written.written) == 1
    await told.stage.ask("Count.")
    await told.stage.advance(1_000)
    told.stage.frames(1, 200)
    await told.stage.play(1)
    before = len(told.written.written)
    await told.stage.play(150)
    assert len(told.written.written) == before


async def test_no_word_of_a_conversation_is_in_it() -> None:
    told = await Told("One two three four.").open()
    await told.stage.ask("Strawberries.")
    await told.stage.advance(1_000)
    assert told.last.turn == 1
    assert not any(word in str(told.written.written) for word in ("Straw", "three", "Be brief"))


async def test_a_changed_voice_is_written_without_waiting_for_a_turn() -> None:
    told = await Told().open()
    told.stage.session.command(Configure(config=dataclasses.replace(SessionConfig(), voice=PIPER)))
    await told.stage.bus.settle()
    assert (told.last.tts_worker, told.last.tts_model, told.last.turn) == (OTHER_TTS, PIPER, 0)


async def test_another_recognizer_is_written() -> None:
    told = await Told().open()
    await told.stage.serve_asr(SPARE_EARS)
    told.stage.router.announce(asr_worker(SPARE_EARS))
    told.stage.router.withdraw(ASR)
    await told.stage.bus.settle()
    assert told.last.asr_worker == SPARE_EARS


async def test_a_session_that_closes_is_removed_once_and_says_nothing_after_that() -> None:
    told = await Told("One two three four.").open()
    await told.stage.ask("Count.")
    await told.stage.advance(1_000)
    before = len(told.written.written)
    await told.stage.session.close("closed by the client")
    await told.stage.session.close("closed by the client")
    await told.stage.advance(1_000)
    assert told.written.removed == [SID]
    assert len(told.written.written) == before
    assert list(await told.written.entries()) == []


async def test_a_directory_that_fails_hurts_no_conversation_and_is_logged_once() -> None:
    told = Told("One two three four.")
    told.written.fault = RuntimeError("no")
    with capture_logs() as logs:
        await told.open()
        told.stage.session.command(Say(text="One two three four."))
        await told.stage.bus.settle()
        told.stage.frames(1, 10, last=True)
        await told.stage.place(1, 0, "One two three four.", 0, 10)
        await told.stage.play(12)
        await told.stage.session.close("closed by the client")
    assert [(m.heard, m.interrupted) for m in told.stage.told(Heard)] == [("One two three four.", False)]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["sessions are not told"]


def test_sessions_do_not_mix_up_when_they_were_opened() -> None:
    written, clock = FakeDirectory(), FakeClock(10.0)
    directory = Directory(written, gateway="gateway-0", wall_clock=clock)
    standing = Standing("LISTENING", TurnId(0), 0, "en", TTS, "", None)
    one, two = SessionId("s-1"), SessionId("s-2")
    directory.note(one, standing)
    clock.advance(1.0)
    directory.note(two, standing)
    clock.advance(1.0)
    directory.note(one, replace(standing, history=1))
    assert [(e.session, e.opened_at, e.updated_at) for e in written.written] == [
        (one, 10_000_000, 10_000_000),
        (two, 11_000_000, 11_000_000),
        (one, 10_000_000, 12_000_000),
    ]
    assert written.written[0].tts_model is None
    directory.note(one, None)
    assert directory._opened_at == {two: 11_000_000}
