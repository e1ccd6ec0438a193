"""The only crossing between an actor's thread and the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class Mailbox:
    """Lets a thread have something called on the loop, in order, without waiting for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def post(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call this on the loop, soon. From any thread; dropped when the loop has ended."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(lambda: call(*args, **kwargs))
