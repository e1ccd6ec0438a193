"""Recognizers die, hang, drain and forget: what is said is heard by the next one, and asked about once it was."""

from typing import Any

import pytest

from actors.policies.turn_taking.settings import RECOGNIZER_RETURN_MS
from protocol.conversation import Accepted, CommandRefused, SessionConfig, SessionError, StateChanged
from protocol.errors import Refused
from protocol.hearing import EndListening, StartListening, Transcribe, TranscriptionFailed
from protocol.ids import WorkerName
from protocol.message import Message
from protocol.ports import Respond
from protocol.subjects import ANY_SESSION, Subject, asr_command, parse
from tests.actors.session_stage import ASR, SID, Stage, asr_worker, tts_worker
from tests.fakes.router import FakeRouter

OTHER = WorkerName("asr-whisper-1")


async def open_stage(*scripts: list[str], others: bool = False) -> Stage:
    workers = [asr_worker(), asr_worker(OTHER)] if others else [asr_worker()]
    stage = Stage(*scripts, router=FakeRouter(tts_worker(), *workers))
    await stage.serve_asr(OTHER)
    return await stage.open()


async def asks(stage: Stage) -> Stage:
    """The user says something and falls silent, so that it is to be transcribed."""
    stage.start_speaking()
    await stage.advance(500)
    stage.stop_speaking()
    await stage.bus.settle()
    return stage


def kill(stage: Stage, worker: WorkerName) -> None:
    """Nobody answers for it, and nobody knows."""
    for subscription in stage.bus._subscriptions:
        if f".{worker}." in subscription.pattern:
            subscription.cancel()


def told(stage: Stage, *kinds: type) -> list[tuple[WorkerName | None, str]]:
    """Who was told what, of these."""
    return [
        (parse(Subject(subject)).worker, type(message).__name__)
        for subject, message in stage.bus.published
        if isinstance(message, kinds)
    ]


def errors(stage: Stage) -> list[str]:
    return [m.code for m in stage.told(SessionError)]


# --- what is said while nobody listens -------------------------------------------------------------------------------
async def test_a_recognizer_that_comes_back_is_sent_what_is_kept_before_it_is_asked() -> None:
    stage = await open_stage()
    stage.sound(0, 1)
    stage.router.withdraw(ASR)
    stage.sound(2, 3)
    await asks(stage)
    stage.order.clear()
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    stage.sound(4)
    wanted = ["StartListening", "frame 0", "frame 1", "frame 2", "frame 3", "Transcribe", "frame 4"]
    assert [what for what in stage.order if what in wanted] == wanted


async def test_a_recognizer_that_restarts_before_anybody_missed_it_is_sent_it_too() -> None:
    stage = await open_stage()
    stage.sound(0, 1)
    await asks(stage)
    stage.order.clear()
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    assert [x for x in stage.order if x.startswith("frame") or x == "Transcribe"] == [
        "frame 0",
        "frame 1",
        "Transcribe",
    ]


async def test_of_what_is_asked_meanwhile_the_newest_waits() -> None:
    stage = await open_stage(["One."])
    stage.router.withdraw(ASR)
    await asks(stage)
    await asks(stage)
    assert stage.asked() == []
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    (asked,) = stage.asked()
    assert asked.request == 2
    await stage.understand("Count.")
    await stage.advance(1_000)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]
    assert errors(stage) == []


async def test_an_utterance_waits_five_seconds_for_a_recognizer_without_any_error() -> None:
    stage = await open_stage(["One."])
    stage.router.withdraw(ASR)
    await asks(stage)
    await stage.advance(5_000)
    assert errors(stage) == []
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    await stage.advance(2_000)  # its first transcript takes its time
    assert len(stage.asked()) == 1
    await stage.understand("Count.")
    await stage.advance(1_000)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]


async def test_an_utterance_that_nobody_comes_to_hear_is_given_up_with_one_error() -> None:
    stage = await open_stage()
    stage.router.withdraw(ASR)
    await asks(stage)
    await stage.advance(RECOGNIZER_RETURN_MS - 1_000)
    assert errors(stage) == []
    await stage.advance(60_000)
    assert errors(stage) == ["recognizer-lost"]
    assert stage.replies.asked == []
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    await stage.ask("Count.")
    assert stage.asked()[-1].request == 2
    assert errors(stage) == ["recognizer-lost"]


# --- another one takes over ------------------------------------------------------------------------------------------
async def test_another_recognizer_is_sent_and_asked_everything() -> None:
    stage = await open_stage(["One."], others=True)
    stage.sound(0, 1)
    await asks(stage)
    stage.sound(2)
    stage.order.clear()
    stage.router.withdraw(ASR)
    await stage.bus.settle()
    wanted = ["StartListening", "frame 0", "frame 1", "frame 2", "Transcribe"]
    assert [what for what in stage.order if what in wanted] == wanted
    assert told(stage, Transcribe) == [(ASR, "Transcribe"), (OTHER, "Transcribe")]
    await stage.understand("Count.", worker=OTHER)
    await stage.advance(1_000)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]


async def test_a_recognizer_that_hung_and_wakes_is_not_believed_and_told_again_to_forget() -> None:
    stage = await open_stage(["One."], others=True)
    await asks(stage)
    asleep = stage.router.workers[ASR]
    stage.router.withdraw(ASR)
    await stage.bus.settle()
    stage.router.announce(asleep)
    await stage.understand("Something else.", worker=ASR)
    await stage.advance(1_000)
    assert stage.told(StateChanged) == []
    assert told(stage, EndListening) == [(ASR, "EndListening")] * 2
    await stage.understand("Count.", worker=OTHER)
    assert [m.content for m in stage.replies.asked[-1]][-1] == "Count."


async def test_the_only_recognizer_that_hung_begins_anew_when_it_wakes() -> None:
    stage = await open_stage()
    stage.sound(0)
    await asks(stage)
    asleep = stage.router.workers[ASR]
    stage.router.withdraw(ASR)
    stage.sound(1)
    await stage.bus.settle()
    stage.order.clear()
    stage.router.announce(asleep)
    await stage.bus.settle()
    wanted = ["EndListening", "StartListening", "frame 0", "frame 1", "Transcribe"]
    assert [what for what in stage.order if what in wanted] == wanted


async def test_a_recognizer_without_room_gives_way_to_the_next() -> None:
    stage = Stage(["One."], router=FakeRouter(tts_worker(), asr_worker(), asr_worker(OTHER)))
    stage.full_workers.add(ASR)
    await stage.serve_asr(OTHER)
    await stage.open()
    assert told(stage, StartListening) == [(ASR, "StartListening"), (OTHER, "StartListening")]
    await asks(stage)
    assert told(stage, Transcribe) == [(OTHER, "Transcribe")]


async def test_when_all_recognizers_are_full_their_reason_is_the_session_s() -> None:
    stage = Stage(router=FakeRouter(tts_worker(), asr_worker()))
    stage.full_workers.add(ASR)
    with pytest.raises(Refused) as refused:
        await stage.open()
    assert refused.value.code == "too-many-sessions"


async def test_one_that_dies_while_it_is_told_what_was_said_is_left_for_the_next() -> None:
    stage = await open_stage(others=True)
    stage.sound(*range(500))
    await asks(stage)
    stage.router.withdraw(ASR)
    await stage.bus.settle(4)
    assert told(stage, StartListening)[-1] == (OTHER, "StartListening")
    assert told(stage, Transcribe) == [(ASR, "Transcribe")], "it is being told"
    stage.bus.frames.clear()
    stage.router.announce(asr_worker(started_at=2))
    stage.router.withdraw(OTHER)
    for _ in range(10):
        await stage.advance(1)
    assert told(stage, StartListening)[-1] == (ASR, "StartListening")
    assert told(stage, Transcribe)[1:] == [(ASR, "Transcribe")]
    assert [f.sequence for _, f in stage.bus.frames][-500:] == list(range(500))


async def test_one_that_is_dead_though_it_is_announced_is_left_for_the_next() -> None:
    stage = await open_stage(others=True)
    kill(stage, ASR)
    await asks(stage)
    await stage.advance(3_100)  # asked in vain; then it is asked whether it lives
    assert told(stage, StartListening)[-1] == (OTHER, "StartListening")
    assert told(stage, Transcribe)[-1] == (OTHER, "Transcribe")
    await stage.understand("Count.", worker=OTHER)
    assert errors(stage) == []


# --- one drains ------------------------------------------------------------------------------------------------------
def draining(stage: Stage) -> None:
    stage.router.workers[ASR] = asr_worker()
    del stage.router.workers[ASR]  # it is not chosen any more, and lives
    for watcher in stage.router.watchers:
        watcher(ASR, asr_worker(state="draining"))


class SlowToAnswer:
    """The other worker, which answers when the test says so."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._respond: list[Respond] = []

    async def serve(self) -> "SlowToAnswer":
        def on_command(_subject: Subject, message: Any, respond: Respond | None) -> None:
            if isinstance(message, StartListening) and respond is not None:
                self._respond.append(respond)

        kill(self._stage, OTHER)
        await self._stage.bus.subscribe(asr_command(ANY_SESSION, OTHER), on_command)
        return self

    async def answer(self, answer: Message) -> None:
        self._respond.pop()(answer)
        await self._stage.bus.settle()


async def test_a_recognizer_that_drains_is_left_in_mid_speech_without_a_loss() -> None:
    stage = await open_stage(others=True)
    other = await SlowToAnswer(stage).serve()
    stage.sound(0, 1)
    await asks(stage)
    draining(stage)
    await stage.bus.settle()
    stage.bus.frames.clear()
    stage.sound(2)  # the other one hears already; it must not hear this before what came before it
    assert stage.bus.frames == []
    await other.answer(Accepted(session=SID))
    stage.sound(3)
    assert told(stage, StartListening, EndListening)[1:] == [(OTHER, "StartListening"), (ASR, "EndListening")]
    assert [f.sequence for _, f in stage.bus.frames] == [0, 1, 2, 3]
    assert told(stage, Transcribe) == [(ASR, "Transcribe"), (OTHER, "Transcribe")], "the first may end any moment"


async def test_a_move_that_fails_half_way_leaves_everything_with_the_one_that_drains() -> None:
    stage = await open_stage(others=True)
    other = await SlowToAnswer(stage).serve()
    draining(stage)
    await stage.bus.settle()
    stage.sound(0)
    await asks(stage)
    await other.answer(CommandRefused(session=SID, code="draining", reason="this one, too"))
    stage.sound(1)
    assert [f.sequence for _, f in stage.bus.frames] == [0, 1]
    assert told(stage, Transcribe) == [(ASR, "Transcribe")]


async def test_a_recognizer_that_drains_is_kept_as_long_as_there_is_no_other() -> None:
    stage = await open_stage()
    draining(stage)
    await stage.advance(1_000)
    stage.sound(0)
    await asks(stage)
    assert [f.sequence for _, f in stage.bus.frames] == [0]
    assert told(stage, Transcribe) == [(ASR, "Transcribe")]


async def test_a_move_that_fails_leaves_everything_with_the_one_that_drains() -> None:
    stage = await open_stage(others=True)
    stage.full_workers.add(OTHER)
    draining(stage)
    stage.sound(0)
    await stage.bus.settle()
    await asks(stage)
    assert [f.sequence for _, f in stage.bus.frames] == [0]
    assert told(stage, Transcribe) == [(ASR, "Transcribe")]


# --- one forgets -----------------------------------------------------------------------------------------------------
async def test_a_recognizer_that_lacks_the_sound_is_sent_it_again_and_asked_again() -> None:
    stage = await open_stage(["One."])
    stage.sound(0, 1)
    await asks(stage)
    stage.order.clear()
    await stage.not_heard()
    wanted = ["EndListening", "StartListening", "frame 0", "frame 1", "Transcribe"]
    assert [what for what in stage.order if what in wanted] == wanted
    assert [asked.request for asked in stage.asked()] == [1, 1]
    await stage.understand("Count.")
    await stage.advance(1_000)
    assert [m.state for m in stage.told(StateChanged)] == ["THINKING"]
    assert errors(stage) == []


async def test_sound_that_nobody_has_is_given_up_with_one_error() -> None:
    stage = await open_stage()
    await asks(stage)
    for _ in range(20):
        await stage.not_heard()
        await stage.advance(10)
    assert errors(stage) == ["transcript-missing"]
    assert [asked.request for asked in stage.asked()] == [1, 1, 1, 2, 2, 2]


async def test_a_failure_of_what_was_asked_before_is_no_lapse_of_memory() -> None:
    stage = await open_stage()
    await asks(stage)
    await stage.not_heard()
    subject, late = next((s, m) for s, m in stage.bus.published if isinstance(m, TranscriptionFailed))
    await asks(stage)
    before = len(stage.asked())
    stage.bus.publish(subject, late)
    await stage.bus.settle()
    assert len(stage.asked()) == before


# --- the rest --------------------------------------------------------------------------------------------------------
async def test_another_language_of_the_same_recognizer_moves_nobody() -> None:
    stage = await open_stage()
    stage.sound(0)
    stage.session._configure(SessionConfig(language="en"))
    await stage.bus.settle()
    stage.sound(1)
    assert len(told(stage, StartListening)) == 1
    assert [f.sequence for _, f in stage.bus.frames] == [0, 1]


async def test_a_session_that_ends_sends_nothing_more() -> None:
    stage = await open_stage()
    stage.router.withdraw(ASR)
    stage.sound(0)
    await stage.session.close("over")
    stage.router.announce(asr_worker(started_at=2))
    await stage.bus.settle()
    assert stage.bus.frames == []
