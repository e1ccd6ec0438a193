"""The gateway's HTTP side: the page, the doors for sessions, health and metrics."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import orjson
import structlog
from aiohttp import web
from prometheus_client import generate_latest

from adapters.transport.access import AdminGuard, Guard, Handler
from adapters.transport.counters import REFUSED
from adapters.transport.fleet_http import FLEET_STATUS, FleetDoor
from adapters.transport.reference_http import REFERENCE_STATUS, ReferenceDoor, ReferenceLimits
from adapters.transport.ticker import Ticker
from adapters.transport.webrtc import WebRtcDoor
from adapters.transport.webrtc_link import WebRtcLimits
from adapters.transport.websocket import WebSocketDoor
from adapters.transport.websocket_link import WebSocketLimits
from protocol.errors import MalformedMessage, Refused
from protocol.ports import ConversationHost, ReferenceDesk, WorkerFleet

_STATUS: Final = {
    "malformed": 400,
    "unauthorized": 401,
    "foreign-origin": 403,
    "no-such-session": 404,
    "too-many-sessions": 503,
    "too-many-connections": 503,
    "not-ready": 503,
    "shutting-down": 503,
    "no-worker": 503,
    **FLEET_STATUS,
    **REFERENCE_STATUS,
}
"""Of refusals whose HTTP status is not simply 409."""
_CODES: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self' blob: mediastream:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}

log = structlog.get_logger()


def refusal(code: str, reason: str, status: int) -> web.Response:
    """Every refusal looks like this, whatever it was that was asked."""
    REFUSED.labels(code).inc()
    body = orjson.dumps({"type": "refused", "code": code, "reason": reason})
    return web.Response(status=status, body=body, content_type="application/json")


@web.middleware
async def _refuse_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return refusal(refused.code, refused.reason, _STATUS.get(refused.code, 409))
    except MalformedMessage as error:
        return refusal("malformed", str(error), 400)
    except web.HTTPException as error:
        if error.status < 400:  # noqa: PLR2004  # a redirection or "not modified" is no refusal
            raise
        return refusal(_CODES.get(error.status, f"http-{error.status}"), error.reason, error.status)
    except Exception:
        log.exception("a request failed", path=request.path)
        return refusal("internal", "The gateway failed to answer; its log says why.", 500)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache" if request.method in ("GET", "HEAD") else "no-store")
    response.headers.pop("Server", None)


class _Pages:
    """Answers everything that is no session."""

    def __init__(self, host: ConversationHost, page: Path, metrics: Callable[[], bytes]) -> None:
        self._host = host
        self._page = page
        self._metrics = metrics

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """The page."""
        return web.FileResponse(self._page)

    async def healthz(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 when a session could be opened and answered now, else 503 and what is missing."""
        readiness = self._host.readiness()
        body = orjson.dumps(readiness)
        return web.Response(status=200 if readiness.ready else 503, body=body, content_type="application/json")

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def make_app(
    host: ConversationHost,
    *,
    page_dir: Path,
    api_key: str | None = None,
    fleet: WorkerFleet | None = None,
    admin_key: str | None = None,
    references: ReferenceDesk | None = None,
    reference_limits: ReferenceLimits | None = None,
    is_local: bool = False,
    metrics: Callable[[], bytes] = generate_latest,
    websocket_limits: WebSocketLimits | None = None,
    webrtc_limits: WebRtcLimits | None = None,
    ice_servers: Sequence[str] = (),
) -> web.Application:
    """The application; call it on the loop that will serve it.

    Args:
        host: opens the sessions.
        page_dir: holds `index.html`, and what `/static/` serves.
        api_key: asked for at `/ws`, `/offer`, `/metrics`, `/workers` and `/references`; None leaves them open.
        fleet: what `/workers` shows and steers; without one there is no such path.
        admin_key: asked for by what changes a worker; see `AdminGuard` for None.
        references: takes what is brought to `/references`; without it there is no such path.
        reference_limits: of `/references`.
        is_local: it will be served on a loopback address alone.
        metrics: what `/metrics` shows.
        websocket_limits: of `/ws`.
        webrtc_limits: of `/offer`.
        ice_servers: STUN or TURN URLs for clients behind a NAT; none are needed in the gateway's own network.
    """
    app = web.Application(middlewares=[_refuse_as_json], client_max_size=(webrtc_limits or WebRtcLimits()).offer_bytes)
    ticker = Ticker()
    websocket = WebSocketDoor(host, ticker, websocket_limits)
    webrtc = WebRtcDoor(host, ticker, webrtc_limits, ice_servers=ice_servers)
    guard = Guard(api_key)
    pages = _Pages(host, page_dir / "index.html", metrics)
    app.router.add_get("/", pages.index)
    app.router.add_static("/static/", page_dir)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", guard.protects(pages.metrics))
    app.router.add_get("/ws", guard.protects(websocket.serve))
    app.router.add_post("/offer", guard.protects(webrtc.serve))
    door: FleetDoor | None = None
    if fleet is not None:
        door = FleetDoor(fleet, AdminGuard(admin_key, has_api_key=api_key is not None, is_local=is_local))
        door.add_to(app.router, guard)
    if references is not None:
        ReferenceDoor(references, reference_limits).add_to(app.router, guard)

    async def close(_app: web.Application) -> None:
        if door is not None:
            door.close()
        await websocket.close()
        await webrtc.close()

    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(close)
    return app
