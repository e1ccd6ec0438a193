"""A WebSocket client as a user's program would be: a paced microphone up, frames and events with arrival times down.

All times are `time.monotonic()` seconds, which processes of one machine share.
"""

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
import numpy as np

from protocol.audio import FRAME_MS, MIC_FRAME, Flags, Frame, unpack
from protocol.codec import encode
from protocol.conversation import OpenSession, ResumeSession, Say, SessionConfig, SessionOpened
from protocol.errors import Refused
from protocol.ids import SessionId
from protocol.message import Message
from protocol.ports import Pcm
from tests.clients.inbox import Inbox
from tests.clients.sound import Pcm16, as_samples

_FRAME_S: Final = FRAME_MS / 1000
_TOO_LATE_S: Final = 0.1
_SILENCE: Final = bytes(2 * MIC_FRAME)


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, and when it came."""

    at: float
    frame: Frame

    @property
    def is_speech(self) -> bool:
        """Whether it belongs to a text (a fade at a cut does not)."""
        return not self.frame.flags & Flags.COMFORT


class Microphone:
    """Sends 20 ms each 20 ms on a grid of its own that does not drift: what is to be said, or silence.

    When this process could not send for long, it begins a new grid, as a sound card drops what nobody fetched.
    """

    def __init__(self, send: aiohttp.ClientWebSocketResponse) -> None:
        self._send = send
        self._to_say = bytearray()
        self.sent_at: list[float] = []
        """When each frame left."""
        self._task = asyncio.create_task(self._run())

    def say(self, pcm: Pcm) -> int:
        """Say this (16 kHz) as soon as what was given before is said; returns the position of its first sample."""
        first = len(self.sent_at) * MIC_FRAME + len(self._to_say) // 2
        self._to_say += np.rint(np.clip(pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._to_say += bytes(-len(self._to_say) % len(_SILENCE))
        return first

    def left_at(self, position: int) -> float:
        """When the frame with this sample left."""
        return self.sent_at[position // MIC_FRAME]

    @property
    def position(self) -> int:
        """The first sample that has not left."""
        return len(self.sent_at) * MIC_FRAME

    async def _run(self) -> None:
        due = time.monotonic()
        while not self._send.closed:
            frame = bytes(self._to_say[: len(_SILENCE)]) or _SILENCE
            del self._to_say[: len(_SILENCE)]
            self.sent_at.append(time.monotonic())
            await self._send.send_bytes(frame)
            due = max(due + _FRAME_S, time.monotonic() - _TOO_LATE_S)
            await asyncio.sleep(due - time.monotonic())

    async def stop(self) -> None:
        """Fall silent, without even sending silence."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class WebSocketClient(Inbox):
    """One connection, one session."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self._http = http
        self.socket = socket
        self.received: list[Received] = []
        self._reader = asyncio.create_task(self._read())
        self.opened: SessionOpened
        self.microphone: Microphone

    @classmethod
    async def open(
        cls,
        url: str,
        config: SessionConfig | None = None,
        *,
        resume: SessionOpened | None = None,
        key: str | None = None,
        microphone: bool = True,
    ) -> Self:
        """Connect to `http://host:port` and open a session, or come back to the one that `resume` describes.

        Raises:
            Refused: with the server's code and reason.
        """
        client = await cls.connect(url, key=key)
        try:
            client.opened = await client.greet(config or SessionConfig(), resume)
        except BaseException:
            await client.close()
            raise
        if microphone:
            client.microphone = Microphone(client.socket)
        return client

    @classmethod
    async def connect(cls, url: str, *, key: str | None = None) -> Self:
        """A connection on which nothing was said yet."""
        http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"} if key else {})
        try:
            socket = await http.ws_connect(f"{url.rstrip('/')}/ws", max_msg_size=1 << 20)
        except BaseException:
            await http.close()
            raise
        return cls(http, socket)

    async def greet(self, config: SessionConfig, resume: SessionOpened | None = None) -> SessionOpened:
        """Say the first message and return the answer.

        Raises:
            Refused: with the server's code and reason.
        """
        await self.tell(
            ResumeSession(session=resume.session, token=resume.token) if resume else OpenSession(config=config)
        )
        answer = await self.until(lambda: self.told[0].message if self.told else None)
        if isinstance(answer, SessionOpened):
            return answer
        raise Refused(getattr(answer, "code", "unexpected"), getattr(answer, "reason", str(answer)))

    @property
    def session(self) -> SessionId:
        """The id that the gateway gave."""
        return self.opened.session

    async def tell(self, message: Message) -> None:
        """Send a command."""
        await self.socket.send_str(encode(message).decode())

    async def say(self, text: str) -> None:
        """Have this text spoken as a turn."""
        await self.tell(Say(text=text))

    async def speech(self, *, turn: int, frames: int = 1, timeout_s: float = 10.0) -> list[Received]:
        """The speech of a turn, once at least so many frames of it came."""

        def found() -> list[Received] | None:
            got = self.frames_of(turn)
            return got if len(got) >= frames else None

        return await self.until(found, timeout_s)

    async def whole_turn(self, turn: int, *, timeout_s: float = 30.0) -> list[Received]:
        """The speech of a turn, once its last frame came."""

        def found() -> list[Received] | None:
            """Looks from the end: to go through all that came with each frame that comes stops dozens of clients."""
            newest = next((r for r in reversed(self.received) if r.frame.turn == turn and r.is_speech), None)
            return self.frames_of(turn) if newest is not None and newest.frame.flags & Flags.LAST else None

        return await self.until(found, timeout_s)

    def frames_of(self, turn: int) -> list[Received]:
        """The speech of a turn so far, without fades."""
        return [r for r in self.received if r.frame.turn == turn and r.is_speech]

    async def close(self) -> None:
        """Hang up, as a client whose user closed the window."""
        if hasattr(self, "microphone"):
            await self.microphone.stop()
        await self.socket.close()
        await self._reader
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.received.append(Received(time.monotonic(), unpack(message.data)))
                self._arrived.set()
            elif message.type is aiohttp.WSMsgType.TEXT:
                self._on_told(message.data)
        self._arrived.set()

    def _closed(self) -> str:
        return str(self.socket.close_code) if self._reader.done() else ""


def samples_of(received: list[Received]) -> Pcm16:
    """Their sound, put together."""
    return np.concatenate([as_samples(r.frame.pcm) for r in received]) if received else np.zeros(0, np.int16)
