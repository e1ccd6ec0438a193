"""A server that speaks the OpenAI chat API over real HTTP, as well or as badly as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Behaviour = Callable[["ChatServer", web.StreamResponse], Awaitable[None]]


class ChatServer:
    """Attributes: `requests` and `keys` hold what came; `gone` is set when a client went away before the end."""

    def __init__(self, behaviour: Behaviour, *, status: int = 200) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self._behaviour = behaviour
        self._status = status

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("Authorization", ""))
        self.asked.set()
        if self._status != 200:
            body = {"error": {"message": f"you sent {self.keys[-1]} and {self.requests[-1]}", "code": "x"}}
            return web.json_response(body, status=self._status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._behaviour(self, response)
        except (ConnectionResetError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response


async def send_delta(response: web.StreamResponse, text: str | None, *, finish: str | None = None) -> None:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


def saying(deltas: Sequence[str]) -> Behaviour:
    """The whole reply, as a good server sends it."""

    async def behave(_server: ChatServer, response: web.StreamResponse) -> None:
        for delta in deltas:
            await send_delta(response, delta)
        await send_delta(response, None, finish="stop")
        await response.write(
            b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
        )
        await response.write(b"data: [DONE]\n\n")

    return behave


def saying_without_end(deltas: Sequence[str]) -> Behaviour:
    """These deltas, then nothing, on an open connection."""

    async def behave(_server: ChatServer, response: web.StreamResponse) -> None:
        for delta in deltas:
            await send_delta(response, delta)
        await asyncio.Event().wait()

    return behave


def breaking_off(deltas: Sequence[str]) -> Behaviour:
    """These deltas, then the connection is cut."""

    async def behave(_server: ChatServer, response: web.StreamResponse) -> None:
        for delta in deltas:
            await send_delta(response, delta)
        transport = response._req.transport if response._req else None  # aiohttp offers no public way to cut it
        assert transport is not None
        transport.abort()

    return behave


def sending(raw: bytes) -> Behaviour:
    """These bytes, whatever they mean."""

    async def behave(_server: ChatServer, response: web.StreamResponse) -> None:
        await response.write(raw)

    return behave


@asynccontextmanager
async def chat_server(behaviour: Behaviour, *, status: int = 200) -> AsyncIterator[ChatServer]:
    """The server on a free port of the loopback; `url` is what a client calls `base_url`."""
    server = ChatServer(behaviour, status=status)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
