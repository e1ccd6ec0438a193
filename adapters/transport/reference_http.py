"""`/references`: a client brings a recording of a voice to be imitated (docs/voices.md)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import orjson
import structlog
from aiohttp import BodyPartReader, StreamReader, web

from adapters.audio.recording import LONGEST_TEXT, decode
from adapters.transport.access import Attempts, Guard
from adapters.transport.counters import UPLOADS
from protocol.errors import Refused
from protocol.ports import ReferenceDesk

REFERENCE_STATUS: Final = {
    "bad-reference": 422,
    "keeping-off": 403,
    "no-such-reference": 404,
    "references-full": 503,
    "too-large": 413,
    "too-many-requests": 429,
}
"""The HTTP status of refusals that come from here."""

TEXT_HEADER: Final = "Reference-Text"
_RAW_TYPES: Final = frozenset(
    {"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/flac", "audio/x-flac", "audio/ogg"}
    | {"application/ogg", "application/octet-stream"}
)
_TRUE: Final = frozenset({"", "1", "true", "yes"})
_BLOCK: Final = 64 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLimits:
    """What an upload may take. An address may send `burst` at once and then `per_minute`."""

    upload_bytes: int = 5_000_000
    upload_s: float = 30.0
    at_once: int = 4
    burst: int = 6
    per_minute: float = 6.0


class ReferenceDoor:
    """Serves `/references`."""

    def __init__(
        self,
        desk: ReferenceDesk,
        limits: ReferenceLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._limits = limits or ReferenceLimits()
        self._attempts = Attempts(burst=self._limits.burst, per_s=self._limits.per_minute / 60, clock=clock)
        self._under_way = 0

    def add_to(self, router: web.UrlDispatcher, guard: Guard) -> None:
        """All endpoints; `guard` decides who may use them."""
        router.add_post("/references", guard.protects(self._add))
        router.add_delete("/references/{name:[a-z0-9-]{1,64}}", guard.protects(self._remove))

    async def _add(self, request: web.Request) -> web.Response:
        try:
            answer = await self._taken(request)
        except Refused as refused:
            UPLOADS.labels(refused.code).inc()
            raise
        UPLOADS.labels("taken").inc()
        return _json(answer, 201)

    async def _taken(self, request: web.Request) -> bytes:
        keep = request.query.get("keep", "false").lower() in _TRUE
        if keep and not self._desk.may_keep:
            raise Refused("keeping-off", "This gateway keeps no recording beyond its session (keep_references).")
        if not self._attempts.grant(request.remote or ""):
            raise Refused("too-many-requests", "Too many recordings from this address; wait a minute.")
        if self._under_way >= self._limits.at_once:
            raise Refused("too-many-requests", "Other recordings are being taken in; try again in a moment.")
        self._under_way += 1
        try:
            async with asyncio.timeout(self._limits.upload_s):
                data, text = await self._read(request)
            reference = await asyncio.to_thread(decode, data, text)
            name = await self._desk.add(reference, keep=keep)
        except TimeoutError as error:
            raise Refused("bad-reference", f"The upload took more than {self._limits.upload_s:.0f} s.") from error
        finally:
            self._under_way -= 1
        log.info("a recording was taken in", reference=name, seconds=round(reference.seconds, 1), kept=keep)
        return orjson.dumps(
            {
                "type": "reference",
                "reference": name,
                "seconds": round(reference.seconds, 3),
                "sample_rate": reference.sample_rate,
                "kept": keep,
            }
        )

    async def _remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not await self._desk.remove(name):
            raise Refused("no-such-reference", "There is no such recording.")
        log.info("a recording was removed", reference=name)
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> tuple[bytes, str]:
        """The sound file and what is said in it, however they were sent."""
        if request.content_type == "multipart/form-data":
            return await self._read_form(request)
        if request.content_type not in _RAW_TYPES:
            raise Refused("unsupported-media-type", "Send audio/wav, audio/flac or audio/ogg, or a form.")
        text = unquote(request.headers.get(TEXT_HEADER, ""))
        if not text.strip():
            raise Refused("bad-reference", f"Say in the header {TEXT_HEADER} (percent-encoded) what is said in it.")
        return await _read_up_to(request.content, self._limits.upload_bytes), text

    async def _read_form(self, request: web.Request) -> tuple[bytes, str]:
        try:
            form = await request.multipart()
            found: dict[str, bytes] = {}
            while (part := await form.next()) is not None:
                if not isinstance(part, BodyPartReader) or part.name not in ("audio", "text") or part.name in found:
                    raise Refused("bad-reference", "The form has the fields audio and text, once each.")
                most = self._limits.upload_bytes if part.name == "audio" else 4 * LONGEST_TEXT
                found[part.name] = await _read_up_to(part, most)
            return found["audio"], found["text"].decode()
        except (KeyError, ValueError, AssertionError) as error:
            raise Refused("bad-reference", "The form has the fields audio and text, in UTF-8.") from error


async def _read_up_to(source: StreamReader | BodyPartReader, most: int) -> bytes:
    whole = bytearray()
    while True:
        block = await (source.read(_BLOCK) if isinstance(source, StreamReader) else source.read_chunk(_BLOCK))
        if not block:
            return bytes(whole)
        whole += block
        if len(whole) > most:
            raise Refused("too-large", f"More than {most} bytes.")


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
