"""What every ReplyGenerator promises, and what the OpenAI one does when its server does not behave."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from adapters.llm.echo import EchoReply
from adapters.llm.openai import OpenAIReply
from adapters.llm.thoughts import WithoutThoughts
from protocol.errors import ReplyUnavailable
from protocol.ports import ChatMessage, ReplyGenerator
from tests.fakes.chat_server import (
    Behaviour,
    ChatServer,
    breaking_off,
    chat_server,
    saying,
    saying_without_end,
    sending,
)
from tests.fakes.replies import ScriptedReplies

HELLO = (ChatMessage(role="user", content="good morning to you"),)
KEY = "sk-secret-key"


@asynccontextmanager
async def an_echo() -> AsyncIterator[ReplyGenerator]:
    echo = EchoReply()
    yield echo
    await echo.close()


@asynccontextmanager
async def an_openai() -> AsyncIterator[ReplyGenerator]:
    async with asking(saying(["You ", "said: good ", "morning", " to you"])) as (replies, _):
        yield replies


@asynccontextmanager
async def a_script() -> AsyncIterator[ReplyGenerator]:
    yield ScriptedReplies()


@asynccontextmanager
async def asking(
    behaviour: Behaviour, *, status: int = 200, system_prompt: str = "", silence_s: float = 5.0
) -> AsyncIterator[tuple[OpenAIReply, ChatServer]]:
    async with chat_server(behaviour, status=status) as server:
        replies = OpenAIReply(
            base_url=server.url,
            model="tiny",
            api_key=KEY,
            system_prompt=system_prompt,
            temperature=0.5,
            silence_timeout_s=silence_s,
        )
        try:
            yield replies, server
        finally:
            await replies.close()


async def whole(replies: ReplyGenerator, history: tuple[ChatMessage, ...] = HELLO) -> str:
    async with asyncio.timeout(10), replies.reply(history) as deltas:
        return "".join([delta async for delta in deltas])


async def failure(replies: ReplyGenerator) -> str:
    with pytest.raises(ReplyUnavailable) as caught:
        await whole(replies)
    return str(caught.value)


Making = Callable[[], AbstractAsyncContextManager[ReplyGenerator]]


@pytest.mark.parametrize("making", [an_echo, an_openai, a_script])
class TestEveryReplyGenerator:
    async def test_answers_in_deltas_that_make_up_the_reply(self, making: Making) -> None:
        async with making() as replies:
            assert "good morning to you" in await whole(replies)

    async def test_can_be_left_before_the_first_delta(self, making: Making) -> None:
        async with making() as replies:
            async with asyncio.timeout(5), replies.reply(HELLO):
                pass
            assert await whole(replies)

    async def test_can_be_left_in_the_middle_and_asked_again(self, making: Making) -> None:
        async with making() as replies:
            async with asyncio.timeout(5), replies.reply(HELLO) as deltas:
                assert await anext(deltas)
            assert "morning" in await whole(replies)

    async def test_serves_two_conversations_at_once(self, making: Making) -> None:
        async with making() as replies:
            both = await asyncio.gather(whole(replies), whole(replies))
            assert both[0] == both[1]

    async def test_gives_its_callers_own_exceptions_through(self, making: Making) -> None:
        async with making() as replies:
            with pytest.raises(KeyError):  # noqa: PT012 - the block is what is tested
                async with replies.reply(HELLO) as deltas:
                    await anext(deltas)
                    raise KeyError

    async def test_can_be_closed_twice(self, making: Making) -> None:
        async with making() as replies:
            await replies.close()
            await replies.close()


async def test_the_echo_answers_the_last_thing_the_user_said() -> None:
    history = (*HELLO, ChatMessage(role="assistant", content="Hi."), ChatMessage(role="user", content="what time?"))
    assert (await whole(EchoReply(), history)).strip() == "You said: what time?"


async def test_the_echo_has_nothing_to_say_to_silence() -> None:
    with pytest.raises(ReplyUnavailable, match="nothing to answer"):
        await whole(EchoReply(), (ChatMessage(role="system", content="be kind"),))


async def test_the_request_names_the_model_and_carries_the_conversation() -> None:
    async with asking(saying(["ok"]), system_prompt="Be brief.") as (replies, server):
        await whole(replies)
        (request,) = server.requests
        assert request["model"] == "tiny"
        assert request["stream"] is True
        assert request["temperature"] == 0.5
        assert request["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "good morning to you"},
        ]
        assert server.keys == [f"Bearer {KEY}"]


async def test_a_conversation_with_a_prompt_of_its_own_keeps_it() -> None:
    history = (ChatMessage(role="system", content="Be a pirate."), *HELLO)
    async with asking(saying(["ok"]), system_prompt="Be brief.") as (replies, server):
        await whole(replies, history)
        assert [message["content"] for message in server.requests[0]["messages"]] == ["Be a pirate.", HELLO[0].content]


async def test_a_key_of_another_server_in_the_environment_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-else")
    async with chat_server(saying(["ok"])) as server:
        replies = OpenAIReply(base_url=server.url, model="tiny")
        await whole(replies)
        assert "somebody" not in server.keys[0]
        await replies.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "refused the request"),
        (401, "refused the API key"),
        (404, "knows no such model or path"),
        (418, "refused the request"),
        (429, "over its limit"),
        (500, "failed"),
        (503, "failed"),
    ],
)
async def test_a_refusal_is_explained_without_the_key_or_anybodys_words(status: int, reason: str) -> None:
    async with asking(saying([]), status=status) as (replies, server):
        told = await failure(replies)
        assert reason in told
        assert f"HTTP {status}" in told
        assert KEY not in told
        assert "morning" not in told
        assert len(server.requests) == 1


async def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    replies = OpenAIReply(base_url=f"http://127.0.0.1:{port}/v1", model="tiny")
    assert "cannot be reached" in await failure(replies)
    await replies.close()


async def test_a_reply_that_breaks_off_in_the_middle_is_a_failure() -> None:
    async with asking(breaking_off(["Good ", "mor"])) as (replies, _):
        assert "broke off" in await failure(replies)


async def test_a_server_that_falls_silent_is_given_up() -> None:
    async with asking(saying_without_end(["Good "]), silence_s=0.2) as (replies, _):
        assert "fell silent in mid-reply" in await failure(replies)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with asking(saying_without_end([]), silence_s=0.2) as (replies, _):
        assert "language model's server" in await failure(replies)


async def test_a_stream_that_is_no_json_is_a_failure() -> None:
    async with asking(sending(b"data: {nonsense\n\n")) as (replies, _):
        assert "broke off" in await failure(replies)


async def test_an_error_event_in_the_stream_is_a_failure_without_its_text() -> None:
    event = b'data: {"error": {"message": "you sent sk-secret-key", "code": 500}}\n\n'
    async with asking(sending(event)) as (replies, _):
        assert KEY not in await failure(replies)


async def test_leaving_the_context_ends_the_connection_so_that_the_server_stops() -> None:
    async with asking(saying_without_end(["Good "])) as (replies, server):
        async with asyncio.timeout(5):
            async with replies.reply(HELLO) as deltas:
                assert await anext(deltas) == "Good "
            await server.gone.wait()


async def test_cancelling_a_wait_for_the_next_delta_ends_the_connection() -> None:
    async with asking(saying_without_end([])) as (replies, server):
        waiting = asyncio.create_task(whole(replies))
        async with asyncio.timeout(5):
            await server.asked.wait()
            waiting.cancel()
            await server.gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_character_cut_in_two_halves_arrives_whole() -> None:
    async with asking(saying(["Good \ud83d", "\ude00 morning \ud83d"])) as (replies, _):
        assert await whole(replies) == "Good 😀 morning "


async def test_what_a_reasoning_model_thinks_aloud_is_not_part_of_the_reply() -> None:
    async with asking(saying(["<thi", "nk>The user says", " hi</th", "ink>\n\nGood", " morning"])) as (replies, _):
        assert (await whole(replies)).strip() == "Good morning"


@pytest.mark.parametrize("text", ["", "<", "<thin", "a <think>b</think> c", "<b>x</b>", "  hello"])
def test_what_only_looks_like_a_thought_passes(text: str) -> None:
    thoughts = WithoutThoughts()
    assert "".join(thoughts.feed(char) for char in text) + thoughts.finish() == text
