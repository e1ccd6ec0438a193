"""A model hub over real HTTP: it speaks what huggingface_hub and a download ask for, as well or as badly as wanted.

Large files are led on to a second origin, as the public hub leads on to its content network.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 100_000
"""Bytes from which on a file is kept as a large one (LFS)."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    range: str
    authorization: str
    origin: str


@dataclass
class FakeHub:
    """Attributes say what it holds and how it behaves.

    `stall_after`: bytes after which nothing more comes; `stalled` is set then.
    `break_after`: bytes after which the connection is lost, one entry for each of the next answers.
    `refuse`: statuses of the next answers with bytes. `gated`, `hidden`: to those without a token, to everybody.
    `wrong`: bytes sent in place of the file's own.
    """

    files: dict[str, bytes]
    repository: str = "owner/voices"
    endpoint: str = ""
    asked: list[Asked] = field(default_factory=list)
    break_after: list[int] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    stall_after: int | None = None
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    ignores_range: bool = False
    gated: bool = False
    hidden: bool = False
    wrong: bytes | None = None
    _content: str = ""

    @property
    def with_bytes(self) -> list[Asked]:
        """Requests that asked for a file's content."""
        return [asked for asked in self.asked if asked.method == "GET" and asked.origin == "content"]

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        self._note(request, "hub")
        if refusal := self._refusal(request):
            return refusal
        path = request.match_info["path"]
        content = self.files[path]
        headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if len(content) < LARGE:
            blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
            return await self._send(request, content, {**headers, "ETag": f'"{blob}"'})
        digest = hashlib.sha256(content).hexdigest()
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)), "ETag": '"of the pointer"'}
        return web.Response(status=302, headers={**headers, **linked, "Location": f"{self._content}/blob/{path}"})

    def _refusal(self, request: web.Request) -> web.Response | None:
        code, status = "", 404
        if self.hidden or request.match_info["repository"] != self.repository:
            code, status = "RepoNotFound", 404
        elif self.gated and "Authorization" not in request.headers:
            code, status = "GatedRepo", 401
        elif request.match_info["revision"] != COMMIT:
            code = "RevisionNotFound"
        elif request.match_info["path"] not in self.files:
            code = "EntryNotFound"
        if not code:
            return None
        return web.Response(status=status, headers={"X-Error-Code": code, "X-Error-Message": code})

    async def content(self, request: web.Request) -> web.StreamResponse:
        self._note(request, "content")
        return await self._send(request, self.files[request.match_info["path"]], {"ETag": '"another"'})

    async def _send(self, request: web.Request, content: bytes, headers: dict[str, str]) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(content))})
        if self.refuse:
            return web.Response(status=self.refuse.pop(0))
        content = self.wrong if self.wrong is not None else content
        first, status = 0, 200
        if (wanted := request.headers.get("Range")) and not self.ignores_range:
            first, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if first >= len(content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers = {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        rest = content[first:]
        response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(rest))})
        await response.prepare(request)
        if self.stall_after is not None:
            await response.write(rest[: self.stall_after])
            self.stalled.set()
            await asyncio.Event().wait()
        if self.break_after:
            await response.write(rest[: self.break_after.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(rest)
        return response

    def _note(self, request: web.Request, origin: str) -> None:
        headers = request.headers
        self.asked.append(
            Asked(
                request.method,
                request.match_info["path"],
                headers.get("Range", ""),
                headers.get("Authorization", ""),
                origin,
            )
        )


@asynccontextmanager
async def serving(hub: FakeHub) -> AsyncIterator[FakeHub]:
    """It is up, on two origins."""
    front, back = web.Application(), web.Application()
    front.router.add_route("*", "/{repository:[^/]+/[^/]+}/resolve/{revision}/{path:.+}", hub.resolve)
    back.router.add_route("*", "/blob/{path:.+}", hub.content)
    async with TestServer(front) as first, TestServer(back) as second:
        hub.endpoint = str(first.make_url("")).rstrip("/")
        hub._content = str(second.make_url("")).rstrip("/")
        yield hub
