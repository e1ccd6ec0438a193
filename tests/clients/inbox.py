"""What a client was told, and how a test waits for it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from protocol.codec import decode_server
from protocol.message import Message

Found = TypeVar("Found")
SomeMessage = TypeVar("SomeMessage", bound=Message)


@dataclass(frozen=True, slots=True)
class Told:
    """An event, a reply or a gate command, and when it came."""

    at: float
    message: Message


class Inbox:
    """What both clients have; each says how it stands when a test waits in vain."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._arrived = asyncio.Event()

    def _on_told(self, data: str | bytes) -> None:
        self.told.append(Told(time.monotonic(), decode_server(data)))
        self._arrived.set()

    def _closed(self) -> str:
        """Why nothing more can come; empty while something may."""
        return ""

    def _standing(self) -> str:
        """What was received so far."""
        return ", ".join(str(getattr(t.message, "type", t.message)) for t in self.told[-8:]) or "nothing"

    async def until(self, found: Callable[[], Found | None], timeout_s: float = 10.0) -> Found:
        """What `found` returns as soon as it returns something; it is asked again at each arrival.

        Raises:
            TimeoutError: with the last events in its message.
            ConnectionError: when the connection ends first.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while (result := found()) is None:
                    if closed := self._closed():
                        raise ConnectionError(f"closed ({closed}) after {self._standing()}")
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {timeout_s} s; last: {self._standing()}") from None
        return result

    async def event(
        self,
        kind: type[SomeMessage],
        where: Callable[[SomeMessage], bool] = lambda _: True,
        *,
        since: int = 0,
        timeout_s: float = 10.0,
    ) -> SomeMessage:
        """The first event of this kind after the first `since` ones (see `mark`)."""

        def found() -> SomeMessage | None:
            told = (t.message for t in self.told[since:])
            return next((m for m in told if isinstance(m, kind) and where(m)), None)

        return await self.until(found, timeout_s)

    def events(self, kind: type[SomeMessage], *, since: int = 0) -> list[SomeMessage]:
        """All events of this kind so far."""
        return [t.message for t in self.told[since:] if isinstance(t.message, kind)]

    def mark(self) -> int:
        """How many events came so far."""
        return len(self.told)
