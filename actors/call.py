"""A client's conversation with a gateway, which survives lost connections. Runs on the loop."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from protocol.audio import Frame
from protocol.conversation import (
    ClientPlayout,
    CloseSession,
    OpenSession,
    ResumeSession,
    SessionClosed,
    SessionConfig,
    SessionOpened,
)
from protocol.errors import GatewayUnavailable, Refused
from protocol.ids import Samples, TurnId
from protocol.message import Message
from protocol.ports import GatewayConnection

Dial = Callable[[OpenSession | ResumeSession], Awaitable[tuple[GatewayConnection, SessionOpened]]]
"""Raises `GatewayUnavailable` or `Refused`."""
Heard = Callable[[], tuple[TurnId, Samples]]
"""How much of which reply was heard, for a gateway that we come back to."""

COME_BACK_S: Final = 30.0
"""As long as a gateway keeps the place of a client that it has lost."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 2.0
_GOODBYE_S: Final = 1.0
_MIC_FRAMES: Final = 25
"""Half a second of microphone waits for a connection that does not move; older sound is dropped."""


class Call:
    """Sound and commands go up, messages and frames come down by call-backs; lost connections are dialled again."""

    def __init__(
        self,
        dial: Dial,
        config: SessionConfig,
        *,
        on_message: Callable[[Message], None],
        on_frame: Callable[[Frame], None],
        heard: Heard,
        on_lost: Callable[[], None] | None = None,
        come_back_s: float = COME_BACK_S,
    ) -> None:
        """`on_lost` tells of a lost connection, and a `SessionOpened` to `on_message` of the next one.

        A `SessionOpened` that is not `resumed` begins a new conversation: the gateway has forgotten the old one.
        """
        self._dial = dial
        self._config = config
        self._on_message = on_message
        self._on_frame = on_frame
        self._heard = heard
        self._on_lost = on_lost
        self._come_back_s = come_back_s
        self._connection: GatewayConnection | None = None
        self._resume: ResumeSession | None = None
        self._messages: deque[Message] = deque()
        self._sound: deque[bytes] = deque(maxlen=_MIC_FRAMES)
        self._something_to_send = asyncio.Event()
        self._over = False
        self._receiving: asyncio.Task[None] | None = None

    async def begin(self) -> SessionOpened:
        """Open the session.

        Raises:
            GatewayUnavailable: nobody answers.
            Refused: not granted, with the reason.
        """
        self._connection, opened = await self._dial(OpenSession(config=self._config))
        self._resume = ResumeSession(session=opened.session, token=opened.token)
        return opened

    async def run(self) -> None:
        """Send and receive until the session is closed by either side.

        Raises:
            GatewayUnavailable: the connection was lost and did not come back.
            Refused: the gateway would not have us back.
        """
        sending = asyncio.create_task(self._send(), name="call-send")
        self._receiving = asyncio.create_task(self._converse(), name="call-receive")
        try:
            await asyncio.wait([self._receiving])
            self._receiving.result()
        finally:
            await self.hang_up()
            for task in (sending, self._receiving):
                task.cancel()
            await asyncio.gather(sending, self._receiving, return_exceptions=True)

    def hear(self, pcm: bytes) -> None:
        """The next 20 ms of the microphone (640 bytes)."""
        self._sound.append(pcm)
        self._something_to_send.set()

    def tell(self, message: Message) -> None:
        """Send a command, as soon as there is a connection."""
        self._messages.append(message)
        self._something_to_send.set()

    async def hang_up(self) -> None:
        """End the session; `run` returns soon after. Harmless when repeated."""
        connection, was_over = self._connection, self._over
        self._over = True
        if connection is None:
            return
        if not was_over:
            await connection.tell(CloseSession())
        if self._receiving is not None:  # a connection that is closed under its reader may lose the goodbye
            await asyncio.wait([self._receiving], timeout=_GOODBYE_S)
        await connection.close()

    async def _converse(self) -> None:
        while self._connection is not None and not self._over:
            await self._receive(self._connection)
            if not self._over:
                self._connection = await self._come_back()

    async def _receive(self, connection: GatewayConnection) -> None:
        """Until the connection ends."""
        try:
            async for received in connection.received():
                if isinstance(received, Frame):
                    self._on_frame(received)
                    continue
                self._on_message(received)
                if isinstance(received, SessionClosed):
                    self._over = True
                    break
        except GatewayUnavailable:
            if not self._over:
                raise
        await connection.close()

    async def _come_back(self) -> GatewayConnection | None:
        """A new connection, or None when we have hung up meanwhile."""
        self._connection = None
        if self._on_lost is not None:
            self._on_lost()
        limit = time.monotonic() + self._come_back_s
        pause_s = _FIRST_PAUSE_S
        while not self._over:
            try:
                return await self._dial_again()
            except GatewayUnavailable as error:
                if time.monotonic() + pause_s > limit:
                    raise GatewayUnavailable(f"the connection is lost: {error}") from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return None

    async def _dial_again(self) -> GatewayConnection:
        try:
            connection, opened = await self._dial(self._resume or OpenSession(config=self._config))
        except Refused as refused:
            if refused.code != "no-such-session":
                raise
            connection, opened = await self._dial(OpenSession(config=self._config))
        self._resume = ResumeSession(session=opened.session, token=opened.token)
        turn, played = self._heard()
        if opened.resumed and turn:
            await connection.tell(ClientPlayout(turn=turn, played=played))
        self._sound.clear()
        self._on_message(opened)
        self._something_to_send.set()
        return connection

    async def _send(self) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while (connection := self._connection) is not None and (self._messages or self._sound):
                if self._messages:
                    await connection.tell(self._messages.popleft())
                else:
                    await connection.hear(self._sound.popleft())
