"""A language model that says what a test tells it to, when the test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from protocol.errors import ReplyUnavailable
from protocol.ports import ChatMessage


class ScriptedReplies:
    """Each request takes the next script; without one it repeats the user's words, as the echo does.

    Attributes:
        asked: the histories that were handed in.
        cancelled: how many requests were left before their end.
        gate: cleared, it makes every reply wait before its first word.
    """

    def __init__(self, *scripts: Sequence[str] | ReplyUnavailable) -> None:
        self._scripts = list(scripts)
        self.asked: list[list[ChatMessage]] = []
        self.cancelled = 0
        self.open = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[AsyncIterator[str]]:
        self.asked.append(list(history))
        script = self._scripts.pop(0) if self._scripts else [history[-1].content]
        done = False

        async def deltas() -> AsyncIterator[str]:
            nonlocal done
            await self.gate.wait()
            if isinstance(script, ReplyUnavailable):
                raise script
            for delta in script:
                await asyncio.sleep(0)
                yield delta
            done = True

        self.open += 1
        try:
            yield deltas()
        finally:
            self.open -= 1
            self.cancelled += not done

    async def close(self) -> None:
        """Holds nothing."""
