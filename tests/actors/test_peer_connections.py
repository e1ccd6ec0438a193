"""A client goes, comes back, is replaced, or never does."""

import pytest

from protocol.audio import SPEECH_FRAME, Flags, Kind
from protocol.conversation import ClientPlayout, CommandRefused, Interrupt, SessionClosed, StateChanged
from protocol.ids import Samples
from tests.actors.peer_stage import MIC, SESSION, STARTED, Stage, a_peer, a_speaking_peer
from tests.fakes.link import FakeLink
from tests.fakes.speech import ONE, a_frame, frames


@pytest.fixture
async def stage() -> Stage:
    return await a_peer()


@pytest.fixture
async def speaking() -> Stage:
    return await a_speaking_peer()


async def test_a_lost_client_ends_the_utterance_that_was_under_way(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.peer.detach(stage.link)
    assert stage.detached == [stage.peer]
    silence = [pcm for _, pcm in stage.ears.heard[SESSION][1:]]
    assert len(silence) * 20 >= 300
    assert not any(map(any, silence))


async def test_a_microphone_that_stops_in_mid_speech_ends_the_utterance(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.ears.detect(STARTED)
    stage.pull(20)
    assert len(stage.ears.heard[SESSION]) == 1, "a network may stall for so long"
    stage.pull(10)
    silence = [pcm for _, pcm in stage.ears.heard[SESSION][1:]]
    assert len(silence) * 20 >= 300
    stage.pull(100)
    assert len(stage.ears.heard[SESSION]) == 1 + len(silence), "once is enough"


async def test_a_microphone_that_sends_nothing_in_silence_is_left_alone(stage: Stage) -> None:
    stage.peer.hear(MIC)
    stage.pull(100)
    assert len(stage.ears.heard[SESSION]) == 1


async def test_a_connection_that_was_replaced_cannot_detach(stage: Stage) -> None:
    second = FakeLink()
    stage.peer.attach(second)
    assert stage.link.disconnected is not None
    stage.peer.detach(stage.link)
    assert stage.peer.attached
    assert not stage.detached


async def test_events_while_nobody_is_there_reach_observers_only(stage: Stage) -> None:
    stage.peer.detach(stage.link)
    stage.session.emit(StateChanged(session=SESSION, state="LISTENING"))
    assert not stage.link.told
    assert stage.bus.said(StateChanged)


async def test_a_client_that_comes_back_goes_on_where_it_says_it_was(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    assert speaking.pull(3) == [None, None, None]
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(3 * SPEECH_FRAME)))
    fade, *rest = speaking.pull(8)
    assert fade is not None
    assert fade.flags == Flags.COMFORT
    assert rest == frames(10, of=100)[3:]


async def test_a_client_that_comes_back_and_says_nothing_goes_on_after_its_last_word(speaking: Stage) -> None:
    speaking.pull(4)
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(2 * SPEECH_FRAME)))
    speaking.pull(2)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    speaking.clock.advance(0.3)
    played = [f for f in speaking.pull(10) if f is not None and Flags.COMFORT not in f.flags]
    assert played == frames(10, of=100)[2:]


async def test_a_client_without_a_word_goes_on_at_the_next_sample(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.detach(speaking.link)
    speaking.peer.attach(FakeLink())
    speaking.clock.advance(0.3)
    played = [f for f in speaking.pull(10) if f is not None and Flags.COMFORT not in f.flags]
    assert played == frames(10, of=100)[6:]


async def test_a_position_in_the_middle_of_a_reply_does_not_move_it(speaking: Stage) -> None:
    speaking.pull(6)
    speaking.peer.command(ClientPlayout(turn=ONE, played=Samples(SPEECH_FRAME)))
    assert speaking.pull(1) == [a_frame(6)]


async def test_the_end_of_a_reply_that_is_played_again_can_be_interrupted(stage: Stage) -> None:
    stage.peer.gate.expect(ONE)
    await stage.speak(*frames(4))
    stage.pull(5)
    stage.peer.detach(stage.link)
    stage.peer.attach(FakeLink())
    stage.peer.command(ClientPlayout(turn=ONE, played=Samples(SPEECH_FRAME)))
    stage.pull(2)
    stage.ears.detect(STARTED)
    (fade, *silence) = stage.pull(4)
    assert fade is not None
    assert fade.flags == Flags.COMFORT
    assert silence == [None, None, None]
    assert [c for c in stage.session.calls if isinstance(c, tuple)] == [("first", ONE), ("last", ONE)]


async def test_after_the_end_nothing_is_left(speaking: Stage) -> None:
    await speaking.peer.close("enough")
    await speaking.peer.close("again")
    assert speaking.session.closed == "enough"
    assert speaking.link.told == [SessionClosed(session=SESSION, reason="enough")]
    assert speaking.link.disconnected == "enough"
    assert speaking.bus.subscriptions == 0
    assert not speaking.ears.opened
    assert speaking.pull(1) == [None]
    speaking.peer.hear(MIC)
    assert not [f for _, f in speaking.bus.frames if f.kind is Kind.MICROPHONE]
    answer = speaking.peer.command(Interrupt())
    assert isinstance(answer, CommandRefused)
    assert answer.code == "closed"
