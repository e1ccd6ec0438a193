"""`antiphon serve tts --family cosyvoice2`, as an operator starts it: it speaks before it has all of the text."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats
from protocol.audio import Flags, Frame
from protocol.conversation import Playout
from protocol.ids import ModelId, Samples, SessionId, TurnId
from protocol.message import Message
from protocol.speaking import PhrasePlaced, SpeakingFailed, SpeakingReady, SpeechFinished, StartSpeaking, TextChunk
from protocol.subjects import session_playout, tts_command, tts_event, tts_frames
from tests.adapters.synthesizers import cosyvoice_folder
from tests.checkpoints.cosyvoice import write_pack
from tests.e2e.torch_worker import WAIT_S, a_worker, name_of

TINY: Final = ModelId("cosyvoice-tiny")
FAMILY: Final = "cosyvoice2"
PIECES: Final = ("Well, that depends on", "what you want,", "because there are many ways.", "Some are long.")
ONE, TWO = TurnId(1), TurnId(2)


class Client:
    """A session that plays at once, and sends a turn's pieces when the test says so."""

    def __init__(self, bus: NatsBus, session: SessionId) -> None:
        self._bus = bus
        self._session = session
        self._worker = name_of(FAMILY)
        self._news = asyncio.Event()
        self.frames: list[Frame] = []
        self.events: list[Message] = []

    async def start(self) -> None:
        start = StartSpeaking(session=self._session, model=TINY)
        to = tts_command(self._session, self._worker)
        assert isinstance(await self._bus.request(to, start, timeout_s=WAIT_S), SpeakingReady)
        await self._bus.subscribe_frames(tts_frames(self._session), self._on_frame, depth=1_000)
        await self._bus.subscribe(tts_event(self._session, self._worker), self._on_event)

    def say(self, turn: TurnId, index: int, text: str, *, last: bool = False) -> None:
        chunk = TextChunk(session=self._session, turn=turn, index=index, text=text, last=last)
        self._bus.publish(tts_command(self._session, self._worker), chunk)

    def sound(self, turn: TurnId) -> npt.NDArray[np.int16]:
        return np.frombuffer(b"".join(frame.pcm for frame in self.frames if frame.turn == turn), np.int16)

    def placed(self, turn: TurnId) -> list[PhrasePlaced]:
        """Pieces that are complete."""
        told = [event for event in self.events if isinstance(event, PhrasePlaced) and event.turn == turn]
        return [event for event in told if event.end is not None]

    async def heard(self, turn: TurnId) -> None:
        """Return once a frame of it has come."""
        await self._until(lambda: any(frame.turn == turn for frame in self.frames))

    async def heard_out(self, turn: TurnId) -> None:
        """Return once its last frame and what is told of it have come."""
        await self._until(
            lambda: (
                any(frame.turn == turn and Flags.LAST in frame.flags for frame in self.frames)
                and any(isinstance(event, SpeechFinished) and event.turn == turn for event in self.events)
            )
        )

    async def _until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not happened():
                self._news.clear()
                await self._news.wait()

    def _on_frame(self, _subject: object, frame: Frame) -> None:
        self.frames.append(frame)
        played = Playout(session=self._session, turn=frame.turn, played=frame.end, queued=Samples(0), held=False)
        self._bus.publish(session_playout(self._session), played)
        self._news.set()

    def _on_event(self, _subject: object, event: object, _respond: object) -> None:
        assert isinstance(event, Message)
        self.events.append(event)
        self._news.set()


@pytest.mark.heavy
@pytest.mark.timeout(400)
async def test_the_first_frame_leaves_before_the_last_piece_is_sent(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    home = tmp_path / "packs" / FAMILY / "tiny"
    shutil.copytree(cosyvoice_folder(), home)
    write_pack(home, text_in="stream", mode="cross_lingual")
    async with a_worker(nats_server, tmp_path, FAMILY, TINY) as bus:
        client = Client(bus, SessionId("s1"))
        await client.start()
        client.say(ONE, 0, PIECES[0])
        await client.heard(ONE)
        for index, text in enumerate(PIECES[1:], 1):
            client.say(ONE, index, text)
        client.say(ONE, len(PIECES), "", last=True)
        await client.heard_out(ONE)
        for index, text in enumerate(PIECES):
            client.say(TWO, index, text, last=text == PIECES[-1])
        await client.heard_out(TWO)
    assert not any(isinstance(event, SpeakingFailed) for event in client.events)
    assert np.sqrt(np.mean(client.sound(ONE).astype(np.float32) ** 2)) > 100
    assert np.array_equal(client.sound(ONE), client.sound(TWO)), "text at once sounds as text in pieces"
    for turn in (ONE, TWO):
        placed = client.placed(turn)
        assert [event.text for event in placed] == list(PIECES)
        assert [event.first for event in placed] == [0, *(event.end for event in placed[:-1])]
        assert 0 <= len(client.sound(turn)) - (placed[-1].end or 0) < 48_000 // 10
