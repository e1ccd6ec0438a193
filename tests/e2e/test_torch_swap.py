"""Two workers of families that need torch, on one machine, under `antiphon up`: sessions go from one to the other.

An observer on the bus says who sent which turn's frames. The checkpoints are tiny: what is said is noise.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from protocol.audio import SPEECH_FRAME, Flags, Frame
from protocol.conversation import (
    Accepted,
    CloseSession,
    CommandRefused,
    Configure,
    Heard,
    Interrupt,
    SessionConfig,
    SessionError,
    TurnMeasured,
)
from protocol.ids import ModelId, Samples, WorkerName
from tests.bench.tap import SeenFrame, Tap, Watched
from tests.checkpoints.csm import build_packs
from tests.checkpoints.xtts import build_xtts, write_pack
from tests.clients.sound import as_samples
from tests.clients.websocket import WebSocketClient, samples_of
from tests.e2e.system import System
from tests.fakes.chat_server import ChatServer, chat_server, saying
from tests.speech import spoken

pytestmark = [pytest.mark.heavy, pytest.mark.system, pytest.mark.models, pytest.mark.realtime, pytest.mark.timeout(800)]

XTTS, CSM = ModelId("xtts-tiny"), ModelId("csm-tiny")
WORKER_OF = {XTTS: WorkerName("tts-xtts-0"), CSM: WorkerName("tts-csm-0")}
SHORT = "One, two, three."
LONG = "Four five six seven eight nine ten eleven twelve thirteen fourteen."
QUESTION = "How many people live in this town?"
ANSWER = "Nobody knows."
PATIENCE_S = 90.0
_START_LIMIT_S = 400.0
_TRIES = 4


@dataclass
class Scene:
    """The system, an observer, and the language model that is told the history."""

    system: System
    tap: Tap
    llm: ChatServer


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    for library in ("TTS", "peft"):
        pytest.importorskip(library, reason="XTTS and CSM are extras")
    packs = build_packs(tmp_path / "packs")
    write_pack(build_xtts(packs / "xtts" / "tiny"))
    async with chat_server(saying([ANSWER])) as llm:
        environment = {
            "ANTIPHON_VOICEPACKS_DIR": str(packs),
            "ANTIPHON_CACHE_DIR": str(tmp_path / "cache"),
            "ANTIPHON_VOICE": XTTS,
            "ANTIPHON_LLM_BASE_URL": llm.url,
            "ANTIPHON_LLM_MODEL": "any",
        }
        system = System(tmp_path / "up", tts=("xtts", "csm"), environment=environment, start_limit_s=_START_LIMIT_S)
        try:
            await asyncio.to_thread(system.wait_until_complete)
            tap = await Tap.connect(system.nats_url)
            yield Scene(system, tap, llm)
            await tap.close()
            await asyncio.to_thread(system.stop)
        finally:
            system.kill()


async def test_one_session_after_the_other_is_spoken_for_by_both_families_in_turn(scene: Scene) -> None:
    await _undisturbed(scene, _there_and_back)
    await _undisturbed(scene, _the_other_way_round)


async def _undisturbed(scene: Scene, session: Callable[[Scene], Awaitable[None]]) -> None:
    """Once more if the machine stood still for so long that a worker was missed: others speak then, as they should."""
    for _ in range(_TRIES):
        missed = _workers_missed(scene.system)
        try:
            return await session(scene)
        except (AssertionError, TimeoutError):
            if _workers_missed(scene.system) == missed:
                raise
    pytest.fail(f"a worker was missed in each of {_TRIES} tries")


def _workers_missed(system: System) -> str:
    found = re.search(r"^antiphon_workers_silent_total (.*)$", system.get("/metrics")[1], flags=re.MULTILINE)
    assert found is not None
    return found[1]


async def _there_and_back(scene: Scene) -> None:
    """Changes between two turns, and in the middle of one."""
    async with await WebSocketClient.open(scene.system.url, SessionConfig(voice=XTTS)) as client:
        watched = await scene.tap.watch(client.session)
        await _say(client, SHORT)
        await _choose(client, CSM)
        await _say(client, SHORT)
        await client.say(LONG)
        await client.speech(turn=3, frames=5, timeout_s=PATIENCE_S)
        await _choose(client, XTTS)
        await _settled(client, 3)
        await _say(client, SHORT)

        assert [(m.heard, m.interrupted) for m in client.events(Heard)] == [
            (text, False) for text in (SHORT, SHORT, LONG, SHORT)
        ]
        _check_speakers(client, watched, XTTS, CSM, CSM, XTTS)
        for turn in (1, 2, 3, 4):
            _check_whole(client, watched, turn)
        assert client.events(SessionError) == []
        await client.tell(CloseSession())
        await watched.stop()


async def _the_other_way_round(scene: Scene) -> None:
    """Begins with the other family, and leaves it in mid-turn; the user asks, and the answer is in the new voice."""
    async with await WebSocketClient.open(scene.system.url, SessionConfig(voice=CSM)) as client:
        watched = await scene.tap.watch(client.session)
        await client.say(LONG)
        await client.speech(turn=1, frames=40, timeout_s=PATIENCE_S)
        await _choose(client, XTTS)
        await client.tell(Interrupt())
        cut = await _settled(client, 1)
        assert cut.interrupted
        assert cut.heard
        assert f"{cut.heard} {cut.unheard}".split() == LONG.split()

        client.microphone.say(spoken(QUESTION))
        await _settled(client, 2)
        await _choose(client, CSM)
        await _say(client, SHORT)

        _check_speakers(client, watched, CSM, XTTS, CSM)
        for turn in (2, 3):
            _check_whole(client, watched, turn)
        _check_contiguous(watched.frames_of(1))
        asked = scene.llm.requests[-1]
        told = [(m["role"], m["content"]) for m in asked["messages"] if m["role"] != "system"]
        assert told[0] == ("assistant", cut.heard.strip())
        assert [role for role, _ in told] == ["assistant", "user"]
        assert "people" in told[1][1]
        assert [m.heard.strip() for m in client.events(Heard)] == [cut.heard.strip(), ANSWER, SHORT]
        assert client.events(SessionError) == []
        await client.tell(CloseSession())
        await watched.stop()


# --- what is done -----------------------------------------------------------------------------------------------------
async def _say(client: WebSocketClient, text: str) -> None:
    since = client.mark()
    await client.say(text)
    heard = await client.event(Heard, since=since, timeout_s=PATIENCE_S)
    assert heard.heard == text


async def _settled(client: WebSocketClient, turn: int) -> Heard:
    return await client.event(Heard, lambda m: m.turn == turn, timeout_s=PATIENCE_S)


async def _choose(client: WebSocketClient, voice: ModelId) -> None:
    since = client.mark()
    await client.tell(Configure(config=SessionConfig(voice=voice)))
    answer = await client.until(
        lambda: next(iter((*client.events(Accepted, since=since), *client.events(CommandRefused, since=since))), None)
    )
    assert isinstance(answer, Accepted), answer


# --- what is looked at ------------------------------------------------------------------------------------------------
def _check_speakers(client: WebSocketClient, watched: Watched, *voices: ModelId) -> None:
    """Each turn is sent by its voice's worker alone, and none of it comes once a later one has begun."""
    speakers = {seen.frame.turn: set[WorkerName]() for seen in watched.frames}
    for seen in watched.frames:
        speakers[seen.frame.turn].add(seen.worker)
    assert speakers == {turn: {WORKER_OF[voice]} for turn, voice in enumerate(voices, 1)}
    assert {m.turn: m.voice for m in client.events(TurnMeasured)} == dict(enumerate(voices, 1))
    for frames in ([seen.frame.turn for seen in watched.frames], [r.frame.turn for r in client.received]):
        assert frames == sorted(frames)


def _check_contiguous(frames: list[SeenFrame]) -> list[Frame]:
    """Without those that were sent again to a gateway that missed them: they have to be the same ones."""
    by_position: dict[Samples, Frame] = {}
    for seen in frames:
        first = by_position.setdefault(seen.frame.position, seen.frame)
        assert (seen.frame.pcm, seen.frame.flags) == (first.pcm, first.flags)
    assert list(by_position) == [number * SPEECH_FRAME for number in range(len(by_position))]
    return list(by_position.values())


def _check_whole(client: WebSocketClient, watched: Watched, turn: int) -> None:
    """It came from its first sample to its last, the client got each of them once, and it is not silence."""
    sent = _check_contiguous(watched.frames_of(turn))
    assert [Flags.LAST in frame.flags for frame in sent] == [False] * (len(sent) - 1) + [True]
    sound = np.concatenate([as_samples(frame.pcm) for frame in sent])
    assert np.array_equal(samples_of(client.frames_of(turn)), sound)
    assert np.sqrt(np.mean(sound.astype(np.float64) ** 2)) > 100
