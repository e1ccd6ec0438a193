import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from actors.reply import ReplyHandle, start_reply
from protocol.errors import ReplyUnavailable
from protocol.ports import ChatMessage, ReplyGenerator
from tests.fakes.replies import ScriptedReplies

HELLO = (ChatMessage(role="user", content="hello"),)


class Told:
    """Everything that the call-backs were told, and when it was over."""

    def __init__(self) -> None:
        self.deltas: list[str] = []
        self.phrases: list[tuple[int, str, bool]] = []
        self.failures: list[str] = []
        self.changed = asyncio.Event()
        self.on_each: Callable[[], None] = lambda: None

    def on_delta(self, delta: str) -> None:
        self.deltas.append(delta)
        self._note()

    def on_phrase(self, index: int, text: str, last: bool) -> None:  # noqa: FBT001 - the contract of start_reply
        self.phrases.append((index, text, last))
        self._note()

    def on_failed(self, error: ReplyUnavailable) -> None:
        self.failures.append(str(error))
        self._note()

    def _note(self) -> None:
        self.changed.set()
        self.on_each()

    @property
    def calls(self) -> int:
        return len(self.deltas) + len(self.phrases) + len(self.failures)


def start(replies: ReplyGenerator, told: Told, **options: float) -> ReplyHandle:
    return start_reply(
        replies,
        HELLO,
        on_delta=told.on_delta,
        on_phrase=told.on_phrase,
        on_failed=told.on_failed,
        first_text_timeout_s=options.get("first_s", 5.0),
        idle_timeout_s=options.get("idle_s", 5.0),
        max_characters=int(options.get("room", 12_000)),
    )


async def told_of(replies: ReplyGenerator, **options: float) -> Told:
    told = Told()
    async with asyncio.timeout(5):
        await start(replies, told, **options).wait()
    return told


class Stalling:
    """Says its deltas and then nothing for ever; `left` is set when its context is left."""

    def __init__(self, *deltas: str, error: Exception | None = None) -> None:
        self._deltas = deltas
        self._error = error
        self.left = asyncio.Event()

    @asynccontextmanager
    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[AsyncIterator[str]]:
        assert history
        try:
            yield self._stall()
        finally:
            self.left.set()

    async def _stall(self) -> AsyncIterator[str]:
        for delta in self._deltas:
            yield delta
        if self._error:
            raise self._error
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Holds nothing."""


async def test_deltas_become_phrases_and_the_last_one_says_so() -> None:
    told = await told_of(ScriptedReplies(["Good mor", "ning, Ann. ", "How are", " you?"]))
    assert told.phrases == [(0, "Good morning,", False), (1, "Ann.", False), (2, "How are you?", True)]
    assert "".join(told.deltas) == "Good morning, Ann. How are you?"
    assert told.failures == []


async def test_a_reply_whose_last_phrase_has_gone_ends_with_an_empty_one() -> None:
    told = await told_of(ScriptedReplies(["Good morning. ", "🙂"]))
    assert told.phrases == [(0, "Good morning.", False), (1, "", True)]


@pytest.mark.parametrize("deltas", [[], [""], ["  ", "\n"], ["..."]])
async def test_a_reply_without_words_has_failed(deltas: list[str]) -> None:
    told = await told_of(ScriptedReplies(deltas))
    assert told.failures == ["the language model gave no words to speak"]
    assert told.phrases == []


async def test_a_failing_model_is_told_as_it_is() -> None:
    told = await told_of(ScriptedReplies(ReplyUnavailable("out of tokens")))
    assert told.failures == ["out of tokens"]


async def test_a_model_that_sends_nothing_times_out() -> None:
    replies = Stalling()
    told = await told_of(replies, first_s=0.05)
    assert told.failures == ["the language model sent no text within 0.05 s"]
    assert replies.left.is_set()


async def test_empty_deltas_do_not_count_as_text() -> None:
    told = await told_of(Stalling("", ""), first_s=0.05)
    assert told.failures == ["the language model sent no text within 0.05 s"]


async def test_a_model_that_stops_in_the_middle_times_out_and_no_phrase_is_called_the_last() -> None:
    told = await told_of(Stalling("Good morning. ", "And "), idle_s=0.05)
    assert told.phrases == [(0, "Good morning.", False)]
    assert told.failures == ["the language model fell silent in mid-reply for 0.05 s"]


async def test_an_unexpected_exception_fails_the_reply_and_names_only_its_kind() -> None:
    told = await told_of(Stalling("Good morning. ", error=ValueError("secret words")))
    assert told.failures == ["the reply broke off: ValueError"]


async def test_a_reply_is_cut_at_its_bound_and_ends_there() -> None:
    replies = Stalling(*["word " for _ in range(100)])
    told = await told_of(replies, room=49)
    assert told.phrases == [(0, " ".join(["word"] * 10), True)]
    assert sum(map(len, told.deltas)) == 49
    assert told.failures == []
    assert replies.left.is_set()


async def test_after_a_cancel_nothing_is_told_and_the_generator_is_left() -> None:
    told = Told()
    replies = Stalling("Good morning. ", "And ")
    reply = start(replies, told)
    async with asyncio.timeout(5):
        await told.changed.wait()
        reply.cancel()
        calls = told.calls
        await replies.left.wait()
        await reply.wait()
    assert told.calls == calls
    assert told.failures == []
    assert reply.done


async def test_a_cancel_before_the_first_step_tells_nothing() -> None:
    told = Told()
    replies = ScriptedReplies(["Good morning."])
    reply = start(replies, told)
    reply.cancel()
    reply.cancel()
    async with asyncio.timeout(5):
        await reply.wait()
    assert told.calls == 0
    assert replies.asked == []


async def test_a_cancel_from_within_a_call_back_is_obeyed_at_once() -> None:
    told = Told()
    replies = ScriptedReplies(["One two three, four five. Six seven. Eight nine. "])
    reply = start(replies, told)
    told.on_each = lambda: reply.cancel() if len(told.phrases) == 2 else None
    async with asyncio.timeout(5):
        await reply.wait()
    assert told.phrases == [(0, "One two three,", False), (1, "four five.", False)]
    assert told.failures == []


async def test_a_cancel_after_the_end_is_harmless() -> None:
    told = Told()
    reply = start(ScriptedReplies(["Good morning."]), told)
    async with asyncio.timeout(5):
        await reply.wait()
    reply.cancel()
    assert told.phrases == [(0, "Good morning.", True)]
