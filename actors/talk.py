"""A person's end of a conversation: microphone and loudspeaker on one side, a gateway on the other. On the loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from actors.call import Call, Dial
from actors.policies.earpiece import Earpiece
from protocol.audio import FRAME_MS, MIC_FRAME, Frame
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    Flush,
    Hold,
    Release,
    SessionConfig,
    SessionOpened,
    State,
    StateChanged,
)
from protocol.ids import Samples, TurnId
from protocol.message import Message

QUIET_S: Final = 4.0
"""The longest end of a turn is 3 s, and somebody has to write down what was said."""
_FRAME_S: Final = FRAME_MS / 1000
_SILENCE: Final = bytes(2 * MIC_FRAME)
_REPORT_EVERY: Final = 12
"""Frames between two reports of what was played: a quarter of a second."""

Clock = Callable[[], float]
Play = Callable[[bytes | None], None]
"""Takes the next 20 ms of sound, or None for silence."""


class Talk:
    """Obeys the gateway's gate with an earpiece of its own, shows what happens, and knows when nothing does."""

    def __init__(
        self,
        dial: Dial,
        config: SessionConfig,
        *,
        show: Callable[[Message], None],
        on_lost: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._show = show
        self._clock = clock
        self._earpiece = Earpiece()
        self._state: State = "LISTENING"
        self._sign_of_life = clock()
        self._unreported = 0
        self.call = Call(
            dial, config, on_message=self._on_message, on_frame=self._on_frame, heard=self._heard, on_lost=on_lost
        )

    async def begin(self) -> SessionOpened:
        """Open the session; raises what `Call.begin` raises."""
        opened = await self.call.begin()
        self._show(opened)
        return opened

    def pull(self) -> bytes | None:
        """The next 20 ms for the loudspeaker, or None for silence."""
        before = self._earpiece.played
        pcm = self._earpiece.pull()
        self._unreported += self._earpiece.played != before
        if self._unreported >= _REPORT_EVERY:
            self._report()
        if not self._earpiece.silent:
            self._sign_of_life = self._clock()
        return pcm

    @property
    def quiet_for_s(self) -> float:
        """How long nobody has spoken or is about to."""
        return 0.0 if self._state != "LISTENING" else self._clock() - self._sign_of_life

    def _on_frame(self, frame: Frame) -> None:
        self._earpiece.take(frame)
        self._sign_of_life = self._clock()

    def _on_message(self, message: Message) -> None:
        match message:
            case Accepted():
                return
            case Hold() | Release() | Flush():
                self._earpiece.obey(message)
                self._report()
            case StateChanged(state=state):
                self._state = state
            case SessionOpened(resumed=False):
                self._earpiece, self._state = Earpiece(), "LISTENING"
            case _:
                pass
        self._sign_of_life = self._clock()
        self._show(message)

    def _heard(self) -> tuple[TurnId, Samples]:
        return self._earpiece.turn, self._earpiece.played

    def _report(self) -> None:
        self._unreported = 0
        turn, played = self._heard()
        if turn:
            self.call.tell(ClientPlayout(turn=turn, played=played))


async def talk_in_real_time(
    talk: Talk, user: Iterator[bytes], play: Play, *, quiet_s: float | None = None, wait_s: float | None = None
) -> None:
    """Say what `user` gives, 20 ms each 20 ms, and give `play` what comes back at the same pace.

    Ends when the user's sound has ended and nothing has happened for `quiet_s` (`QUIET_S` if None), or `wait_s` after
    its end; earlier when the session is closed. Raises what `Call.run` raises.
    """
    running = asyncio.create_task(talk.call.run(), name="call")
    speaking = asyncio.create_task(
        _speak(talk, user, play, QUIET_S if quiet_s is None else quiet_s, wait_s), name="talk"
    )
    try:
        await asyncio.wait([running, speaking], return_when=asyncio.FIRST_COMPLETED)
        if speaking.done():
            speaking.result()
            await talk.call.hang_up()
        await running
    finally:
        for task in (running, speaking):
            task.cancel()
        await asyncio.gather(running, speaking, return_exceptions=True)


async def _speak(talk: Talk, user: Iterator[bytes], play: Play, quiet_s: float, wait_s: float | None) -> None:
    ended_at: float | None = None
    async for now in _every_frame():
        pcm = next(user, None)
        if pcm is None and ended_at is None:
            ended_at = now
        talk.call.hear(pcm or _SILENCE)
        play(talk.pull())
        if ended_at is None:
            continue
        since_s = now - ended_at
        if since_s >= wait_s if wait_s is not None else min(since_s, talk.quiet_for_s) >= quiet_s:
            return


async def _every_frame() -> AsyncIterator[float]:
    """The time, once each 20 ms on a grid that does not drift."""
    begin = time.monotonic()
    count = 0
    while True:
        yield begin + count * _FRAME_S
        count += 1
        await asyncio.sleep(begin + count * _FRAME_S - time.monotonic())
