"""What observers read of a session's speech at its worker, once a second."""

from actors.tts_worker import TtsWorker
from protocol.audio import SPEECH_FRAME
from protocol.measures import TtsMeasures
from protocol.speaking import EndSpeaking
from tests.actors.tts_stage import ONE, TEXT, TWO, Client, Stage, a_stage

LONG = " ".join(["word"] * 20) + "."


def told(stage: Stage, client: Client) -> list[TtsMeasures]:
    return stage.events(client, TtsMeasures)


def look(worker: TtsWorker) -> None:
    """As the worker does by itself, every 2 s."""
    assert not worker._is_drained()


async def test_a_long_turn_is_told_of_once_a_second_and_its_rest_soon_after() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, LONG)
        await stage.play_out(client)
        await stage.play(60)
        look(stage.worker)
        measures = told(stage, client)
        assert [m.turn for m in measures] == [ONE] * len(measures)
        assert sum(m.sent for m in measures) == len(client.got)
        assert measures[0].sent > 50, "a second, and what is sent ahead"
        assert all(1000 <= m.over_ms <= 1040 for m in measures[:-1])
        assert all(0 <= m.ahead_ms <= 200 for m in measures)
        assert {(m.again, m.underruns) for m in measures} == {(0, 0)}
        subjects = {str(subject) for subject, said in stage.bus.published if isinstance(said, TtsMeasures)}
        assert subjects == {"audio.meta.s1.tts.tts-fake-0"}


async def test_a_session_for_which_nothing_is_spoken_says_nothing() -> None:
    async with a_stage() as stage:
        client, silent = await stage.client(), await stage.client("s2")
        await stage.say(client, TEXT)
        await stage.play_out(client)
        await stage.play(100)
        look(stage.worker)
        assert len(told(stage, client)) == 1
        for _ in range(5):
            await stage.play(100)
            look(stage.worker)
        assert len(told(stage, client)) == 1
        assert told(stage, silent) == []


async def test_frames_that_are_sent_again_are_told_of() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        client.loses = lambda frame: frame.position // SPEECH_FRAME in range(20, 28) and client._pulls < 35
        await stage.say(client, LONG)
        await stage.play_out(client)
        await stage.play(60)
        look(stage.worker)
        measures = told(stage, client)
        assert sum(m.again for m in measures) > 0
        frames = len(client.heard)
        assert sum(m.sent - m.again for m in measures) == frames


async def test_a_voice_that_waits_for_its_text_has_an_underrun() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One two.", last=False)
        await stage.play(60)
        await stage.say(client, "Three four.", index=1)
        await stage.play_out(client)
        await stage.play(60)
        look(stage.worker)
        assert sum(m.underruns for m in told(stage, client)) == 1


async def test_a_pause_is_no_underrun() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, TEXT)
        await stage.play(10)
        await stage.pause(client)
        await stage.play(40)
        await stage.resume(client)
        await stage.play_out(client)
        await stage.play(60)
        look(stage.worker)
        assert sum(m.underruns for m in told(stage, client)) == 0


async def test_the_next_turn_goes_on_with_the_same_books() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, "One two.")
        await stage.play_out(client)
        await stage.say(client, LONG, turn=TWO)
        await stage.play_out(client)
        await stage.play(60)
        look(stage.worker)
        measures = told(stage, client)
        assert sum(m.sent for m in measures) == len(client.got)
        assert measures[-1].turn == TWO


async def test_a_session_that_has_ended_says_nothing_more() -> None:
    async with a_stage() as stage:
        client = await stage.client()
        await stage.say(client, LONG)
        await stage.play(70)
        before = len(told(stage, client))
        assert before == 1
        stage.command(EndSpeaking(session=client.session))
        await stage.play(120)
        look(stage.worker)
        assert len(told(stage, client)) == before
        assert stage.time.waiting == 0
