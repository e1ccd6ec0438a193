"""One reply: from a language model's deltas to phrases. Runs on the loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import structlog

from actors.policies.phrasing import Phrasing
from protocol.errors import ReplyUnavailable
from protocol.ports import ChatMessage, ReplyGenerator

MAX_CHARACTERS: Final = 12_000
"""About a quarter of an hour of speech."""

OnDelta = Callable[[str], None]
OnPhrase = Callable[[int, str, bool], None]
OnFailed = Callable[[ReplyUnavailable], None]

_running: Final[set[asyncio.Task[None]]] = set()
"""The loop holds tasks weakly only, and a cancelled one still has its connection to give back."""
_log = structlog.get_logger(__name__)


class ReplyHandle:
    """A reply that is being made."""

    def __init__(self, work: "_Work", task: asyncio.Task[None]) -> None:
        self._work = work
        self._task = task

    @property
    def done(self) -> bool:
        """Whether no call-back will come any more."""
        return self._work.silent

    def cancel(self) -> None:
        """Stop at once: no call-back comes after this. Harmless when repeated or late."""
        self._work.silent = True
        self._task.cancel()

    async def wait(self) -> None:
        """Return once the generator's resources are given back; never raises for what became of the reply."""
        await asyncio.wait([self._task])


def start_reply(
    replies: ReplyGenerator,
    history: Sequence[ChatMessage],
    *,
    on_phrase: OnPhrase,
    on_failed: OnFailed,
    on_delta: OnDelta | None = None,
    language: str = "en",
    first_text_timeout_s: float = 10.0,
    idle_timeout_s: float = 10.0,
    max_characters: int = MAX_CHARACTERS,
) -> ReplyHandle:
    """Begin a reply to the last message of `history`; everything is told by call-backs on the loop.

    Args:
        replies: the language model.
        history: what was said so far, the user's words last.
        on_phrase: (index from 0, text, whether it is the last). The last one may have empty text.
        on_failed: no reply, or no more of it; nothing follows. A reply without anything to speak has failed too.
        on_delta: the text as it comes.
        language: whose abbreviations and numbers the phrases respect.
        first_text_timeout_s: for the first delta.
        idle_timeout_s: between two deltas.
        max_characters: a longer reply is cut there.
    """
    work = _Work(on_delta or _ignore, on_phrase, on_failed, Phrasing(language), max_characters)
    task = asyncio.get_running_loop().create_task(
        work.run(replies, tuple(history), first_text_timeout_s, idle_timeout_s), name="reply"
    )
    _running.add(task)
    task.add_done_callback(_running.discard)
    return ReplyHandle(work, task)


def _ignore(_delta: str) -> None:
    """Nobody wants the deltas."""


class _Work:
    """The state of one reply. `silent` is set when it is over or cancelled: nothing is told from then on."""

    def __init__(
        self, on_delta: OnDelta, on_phrase: OnPhrase, on_failed: OnFailed, phrasing: Phrasing, room: int
    ) -> None:
        self.silent = False
        self._on_delta = on_delta
        self._on_phrase = on_phrase
        self._on_failed = on_failed
        self._phrasing = phrasing
        self._room = room
        self._index = 0
        self._text_came = False

    async def run(self, replies: ReplyGenerator, history: Sequence[ChatMessage], first_s: float, idle_s: float) -> None:
        """The whole reply; ends early when cancelled."""
        try:
            async with asyncio.timeout(first_s) as limit, replies.reply(history) as deltas:
                await self._read(deltas, limit, idle_s)
        except ReplyUnavailable as error:
            self._fail(error)
        except TimeoutError:
            self._fail(ReplyUnavailable(self._what_took_too_long(first_s, idle_s)))
        except Exception as error:  # noqa: BLE001 - whatever a generator raises ends its reply, not the session
            _log.exception("reply_broke")
            self._fail(ReplyUnavailable(f"the reply broke off: {type(error).__name__}"))

    async def _read(self, deltas: AsyncIterator[str], limit: asyncio.Timeout, idle_s: float) -> None:
        async for delta in deltas:
            if self.silent:
                return
            if delta:
                limit.reschedule(asyncio.get_running_loop().time() + idle_s)
                self._take(delta)
            if self._room <= 0:
                _log.warning("reply_cut_at_its_bound")
                break
        self._finish()

    def _take(self, delta: str) -> None:
        delta = delta[: self._room]
        self._room -= len(delta)
        self._text_came = True
        self._on_delta(delta)
        for phrase in self._phrasing.feed(delta):
            self._say(phrase, last=False)

    def _finish(self) -> None:
        rest = self._phrasing.finish()
        if not rest and not self._index:
            self._fail(ReplyUnavailable("the language model gave no words to speak"))
            return
        for phrase in rest[:-1]:
            self._say(phrase, last=False)
        self._say(rest[-1] if rest else "", last=True)
        self.silent = True

    def _say(self, phrase: str, *, last: bool) -> None:
        if not self.silent:
            index, self._index = self._index, self._index + 1
            self._on_phrase(index, phrase, last)

    def _fail(self, error: ReplyUnavailable) -> None:
        if not self.silent:
            self.silent = True
            self._on_failed(error)

    def _what_took_too_long(self, first_s: float, idle_s: float) -> str:
        if self._text_came:
            return f"the language model fell silent in mid-reply for {idle_s:g} s"
        return f"the language model sent no text within {first_s:g} s"
