"""Replies from any server that speaks the OpenAI chat API, streamed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from adapters.llm.thoughts import WithoutThoughts
from protocol.errors import ModelUnavailable, ReplyUnavailable
from protocol.ports import ChatMessage

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

CONNECT_TIMEOUT_S: Final = 3.0
SILENCE_TIMEOUT_S: Final = 30.0
"""Between two packets; the caller's own time-outs are shorter and decide first."""
_REASONS: Final = {
    400: "refused the request",
    401: "refused the API key",
    403: "refused access",
    404: "knows no such model or path",
    408: "timed out",
    413: "found the conversation too long",
    422: "refused the request",
    429: "is over its limit of requests",
}


class OpenAIReply:
    """Asks a chat server; leaving a reply's context closes its connection, so that the server stops generating."""

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key: str = "",
        system_prompt: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        silence_timeout_s: float = SILENCE_TIMEOUT_S,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Args:
            base_url: up to and with the version, e.g. `http://127.0.0.1:8000/v1`.
            model: as the server names it.
            api_key: "" for a server that wants none.
            system_prompt: for conversations that bring none of their own.
            temperature: None leaves the server's default.
            max_tokens: None leaves the server's default.
            silence_timeout_s: how long the server may send nothing at all.

        Raises:
            ModelUnavailable: the package `openai` is not installed.
        """
        self._client = _client(base_url, api_key, silence_timeout_s)
        self._model = model
        self._system_prompt = system_prompt
        chosen = {"temperature": temperature, "max_tokens": max_tokens}
        self._options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}

    @asynccontextmanager
    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[AsyncIterator[str]]:
        """The model's reply in deltas.

        Raises:
            ReplyUnavailable: with a short reason that holds neither keys nor anybody's words.
        """
        stream = await self._ask(history)
        try:
            yield _texts(stream)
        finally:
            await stream.close()

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.close()

    async def _ask(self, history: Sequence[ChatMessage]) -> "AsyncStream[ChatCompletionChunk]":
        try:
            stream: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                model=self._model, messages=self._messages(history), stream=True, **self._options
            )
        except Exception as error:
            raise _unavailable(error) from error
        return stream

    def _messages(self, history: Sequence[ChatMessage]) -> Any:
        messages = [{"role": message.role, "content": message.content} for message in history]
        if self._system_prompt and not any(message.role == "system" for message in history):
            messages.insert(0, {"role": "system", "content": self._system_prompt})
        return messages


def _client(base_url: str, api_key: str, silence_timeout_s: float) -> "AsyncOpenAI":
    try:
        from openai import AsyncOpenAI, Timeout  # noqa: PLC0415 - takes a second, and only those who ask for it pay
    except ImportError as error:
        raise ModelUnavailable("the package `openai` is missing: pip install openai") from error
    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or "none",  # the client insists on one, and must not find another server's in the environment
        timeout=Timeout(silence_timeout_s, connect=CONNECT_TIMEOUT_S),
        max_retries=0,  # a listener waits: better an error at once than an answer after three attempts
    )


async def _texts(stream: "AsyncStream[ChatCompletionChunk]") -> AsyncIterator[str]:
    """The content of the chunks, without a reasoning model's thoughts and without halves of characters."""
    thoughts, halves = WithoutThoughts(), _WithoutHalves()
    try:
        async for chunk in stream:
            delta = (chunk.choices[0].delta.content or "") if chunk.choices else ""
            if text := thoughts.feed(halves.feed(delta)):
                yield text
    except Exception as error:
        raise _broken_off(error) from error
    if text := thoughts.finish():
        yield text


class _WithoutHalves:
    """Some servers cut a character outside the basic plane in two, one half of a surrogate pair in each chunk."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, delta: str) -> str:
        text = self._half + delta
        self._half = text[-1:] if text[-1:] and "\ud800" <= text[-1] <= "\udbff" else ""
        whole = text.removesuffix(self._half)
        return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unavailable(error: Exception) -> ReplyUnavailable:
    """What went wrong in a few words. The server's own text is left out: it may quote the key or the conversation."""
    import openai  # noqa: PLC0415 - is loaded already

    match error:
        case openai.APITimeoutError():
            return ReplyUnavailable("the language model's server did not answer in time")
        case openai.APIStatusError(status_code=status):
            what = _REASONS.get(status, "failed" if status >= 500 else "refused the request")  # noqa: PLR2004 - HTTP
            return ReplyUnavailable(f"the language model's server {what} (HTTP {status})")
        case openai.APIConnectionError():
            return ReplyUnavailable("the language model's server cannot be reached")
    return ReplyUnavailable(f"the language model's server gave no answer ({type(error).__name__})")


def _broken_off(error: Exception) -> ReplyUnavailable:
    import openai  # noqa: PLC0415 - is loaded already

    if isinstance(error, openai.APITimeoutError):
        return ReplyUnavailable("the language model's server fell silent in mid-reply")
    return ReplyUnavailable(f"the language model's server broke off its reply ({type(error).__name__})")
