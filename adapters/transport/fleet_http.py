"""`/workers`: operators see workers and models, load, unload and drain (docs/protocol.md)."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
import structlog
from aiohttp import web

from adapters.transport.access import AdminGuard, Guard
from adapters.transport.counters import STEERED
from adapters.transport.fleet_events import FleetEvents, FleetLimits
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.ports import WorkerFleet, WorkerView

FLEET_STATUS: Final = {
    "not-admin": 401,
    "steering-off": 403,
    "no-such-worker": 404,
    "no-such-model": 404,
    "unsupported-media-type": 415,
    "too-many-requests": 429,
    "too-many-commands": 503,
    "no-answer": 504,
}
"""The HTTP status of refusals that come from here and from the workers, besides those of all endpoints."""

_FRESH_S: Final = 1.0
_WORKER: Final = "/workers/{worker:[a-z0-9-]{1,64}}"
_MODEL: Final = _WORKER + "/models/{model:[a-z0-9-]{1,64}}"

log = structlog.get_logger()


class FleetDoor:
    """Serves `/workers`. `admin` decides who may change something."""

    def __init__(self, fleet: WorkerFleet, admin: AdminGuard, limits: FleetLimits | None = None) -> None:
        self._fleet = fleet
        self._admin = admin
        self._limits = limits or FleetLimits()
        self._events = FleetEvents(fleet, self._document, self._limits)
        self._under_way = 0

    def add_to(self, router: web.UrlDispatcher, guard: Guard) -> None:
        """All endpoints; `guard` decides who may read."""
        router.add_get("/workers", guard.protects(self._list))
        router.add_get("/workers/events", guard.protects(self._events.serve))
        router.add_post(_MODEL + "/load", self._load)
        router.add_post(_MODEL + "/unload", self._unload)
        router.add_post(_WORKER + "/drain", self._drain)

    def close(self) -> None:
        """Let those go who listen."""
        self._events.close()

    async def _list(self, request: web.Request) -> web.Response:
        await self._fleet.refresh(max_age_s=_FRESH_S)
        return _json(self._document(request))

    def _document(self, request: web.Request) -> bytes:
        steering, reason = self._admin.steering(request)
        return orjson.dumps(
            {"type": "workers", "workers": self._fleet.workers(), "steering": steering, "steering_reason": reason}
        )

    async def _load(self, request: web.Request) -> web.Response:
        worker, model = _worker(request), _model(request)
        return await self._steer(request, "load", lambda: self._fleet.load(worker, model))

    async def _unload(self, request: web.Request) -> web.Response:
        worker, model = _worker(request), _model(request)
        return await self._steer(request, "unload", lambda: self._fleet.unload(worker, model))

    async def _drain(self, request: web.Request) -> web.Response:
        worker = _worker(request)
        return await self._steer(request, "drain", lambda: self._fleet.drain(worker))

    async def _steer(
        self, request: web.Request, what: str, command: Callable[[], Awaitable[WorkerView]]
    ) -> web.Response:
        self._admin.check(request)
        if self._under_way >= self._limits.commands:
            raise Refused("too-many-commands", "Other commands are still under way; try again when they are done.")
        began = time.monotonic()
        outcome = "failed"
        self._under_way += 1
        try:
            view = await command()
            outcome = "done"
        except Refused as refused:
            outcome = refused.code
            raise
        finally:
            self._under_way -= 1
            STEERED.labels(what, outcome).inc()
            log.info("a worker was steered", command=what, outcome=outcome, **request.match_info)
        took_ms = round((time.monotonic() - began) * 1000)
        return _json(orjson.dumps({"type": "worker", "view": view, "took_ms": took_ms}))


def _worker(request: web.Request) -> WorkerName:
    return WorkerName(request.match_info["worker"])


def _model(request: web.Request) -> ModelId:
    return ModelId(request.match_info["model"])


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
