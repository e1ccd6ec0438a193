"""Having a text spoken: a session that is told what to say and listens to the end. On the loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from actors.call import Call, Dial
from actors.policies.phrasing import Phrasing
from protocol.audio import Flags, Frame
from protocol.conversation import (
    CommandRefused,
    Flush,
    Hold,
    Release,
    Say,
    SessionClosed,
    SessionConfig,
    SessionError,
    SessionOpened,
    State,
    StateChanged,
)
from protocol.errors import Refused
from protocol.ids import Samples, TurnId
from protocol.message import Message

_MOST_CHARACTERS: Final = 3_000
"""In one command."""
_PAUSE_S: Final = 0.1
"""Between two commands: a gateway takes ten a second."""
_LAST_FRAME_S: Final = 2.0
"""The session listens again just before its last frame leaves; it may be so late."""


class Saying:
    """One text, said to its end. Frames and gate commands go to call-backs; `finished` tells of the end."""

    def __init__(
        self,
        dial: Dial,
        config: SessionConfig,
        *,
        on_frame: Callable[[Frame], None],
        on_gate: Callable[[Hold | Release | Flush], None],
        heard: Callable[[], tuple[TurnId, Samples]] | None = None,
    ) -> None:
        """`heard`: what a loudspeaker has played; None when all that arrives counts as heard."""
        self._on_frame = on_frame
        self._on_gate = on_gate
        self._turn, self._end = TurnId(0), Samples(0)
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trouble = ""
        self._state: State = "LISTENING"
        self._unspoken = False
        """Whether text was sent whose last sample has not come."""
        self._all_sent = False
        self.call = Call(dial, config, on_message=self._on_message, on_frame=self._take, heard=heard or self._arrived)

    async def say(self, texts: AsyncIterator[str], *, language: str = "en") -> None:
        """Speak these texts as one turn, phrase by phrase as they come, and return when the last sample is here.

        Raises:
            Refused: there is nothing to say, the session was not granted, or it could not speak.
            GatewayUnavailable: nobody answers, or the connection is lost for good.
        """
        phrases = _batches(texts, language)
        first = await anext(phrases)
        if not first.text:
            raise Refused("nothing-to-say", "there are no words in that text")
        await self.call.begin()
        running = asyncio.create_task(self.call.run(), name="call")
        telling = asyncio.create_task(self._tell(first, phrases), name="say")
        try:
            await self._until_finished(running, telling)
            await self.call.hang_up()
            await running
        finally:
            for task in (running, telling):
                task.cancel()
            await asyncio.gather(running, telling, return_exceptions=True)

    async def _until_finished(self, running: asyncio.Task[None], telling: asyncio.Task[None]) -> None:
        waiting: set[asyncio.Future[None]] = {self._finished, running, telling}
        while not self._finished.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
            if running in done:
                raise Refused("closed", self._trouble or "the session was closed before the end")

    async def _tell(self, first: "_Batch", batches: "AsyncIterator[_Batch]") -> None:
        """Send each batch as it comes. A gateway ends a turn whose text is long in coming; the rest is another one."""
        self._say(first)
        async for batch in batches:
            await asyncio.sleep(_PAUSE_S)
            if batch.text or self._unspoken:
                self._say(batch)
        self._all_sent = True
        if not self._unspoken:
            self._finish()

    def _say(self, batch: "_Batch") -> None:
        self._unspoken = True
        self.call.tell(Say(text=batch.text, last=batch.last))

    def _arrived(self) -> tuple[TurnId, Samples]:
        return self._turn, self._end

    def _take(self, frame: Frame) -> None:
        if Flags.COMFORT not in frame.flags:
            if frame.turn == self._turn and frame.position < self._end:
                return  # sent again after the connection was lost
            self._turn, self._end = frame.turn, frame.end
        self._on_frame(frame)
        if Flags.LAST in frame.flags:
            self._unspoken = False
            if self._all_sent:
                self._finish()

    def _give_up(self) -> None:
        if self._unspoken and self._state == "LISTENING":
            self._fail("not-spoken", self._trouble or "the gateway ended the speech too early")

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

    def _fail(self, code: str, reason: str) -> None:
        if not self._finished.done():
            self._finished.set_exception(Refused(code, reason))

    def _on_message(self, message: Message) -> None:
        match message:
            case Hold() | Release() | Flush():
                self._on_gate(message)
            case CommandRefused(code="empty-text"):
                pass  # the turn has ended before we said that it does; its last frame is on its way
            case CommandRefused(code=code, reason=reason):
                self._fail(code, reason)
            case SessionError(message=reason):
                self._trouble = reason
            case SessionClosed(reason=reason):
                self._trouble = self._trouble or reason
            case StateChanged(state=state):
                self._state = state
                if state == "LISTENING":
                    asyncio.get_running_loop().call_later(_LAST_FRAME_S, self._give_up)
            case SessionOpened(resumed=False):
                self._fail("lost", "the gateway was restarted in the middle of the speech")
            case _:
                pass


@dataclass(frozen=True, slots=True)
class _Batch:
    """Whole phrases, few enough for one command."""

    text: str
    last: bool = False


async def _batches(texts: AsyncIterator[str], language: str) -> AsyncIterator[_Batch]:
    """Phrases as soon as they are complete; the last batch is empty when all had gone before the end was known."""
    phrasing = Phrasing(language)
    async for text in texts:
        for batch in _joined(phrasing.feed(text)):
            yield _Batch(batch)
    *rest, end = [*_joined(phrasing.finish())] or [""]
    for batch in rest:
        yield _Batch(batch)
    yield _Batch(end, last=True)


def _joined(phrases: list[str]) -> Iterator[str]:
    """Ends in a blank, so that the next one does not run into it."""
    batch = ""
    for phrase in phrases:
        if len(batch) + len(phrase) > _MOST_CHARACTERS:
            yield batch
            batch = ""
        batch += phrase + " "
    if batch:
        yield batch
