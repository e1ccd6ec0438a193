"""Who may do what over HTTP: keys, pages of other sites, and how often one may try. Keys are never logged."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import web

from protocol.errors import Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Steering = Literal["key", "open", "off"]
"""Whether workers can be steered over HTTP: with the admin key, by everybody on this machine, or not at all."""

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_KEY: Final = "Steering workers over HTTP is off: set ANTIPHON_ADMIN_KEY (--admin-key) for the gateway."
_NOT_LOCAL: Final = (
    "Without keys, workers can be steered from this machine's own address only: "
    "open http://127.0.0.1, or set ANTIPHON_ADMIN_KEY (--admin-key) for the gateway."
)


class Guard:
    """Lets in who has the API key, and no page of another site."""

    def __init__(self, api_key: str | None) -> None:
        self._key = api_key.encode() if api_key else None

    def check(self, request: web.Request) -> None:
        """Raises `Refused`."""
        check_origin(request)
        if self._key is None:
            return
        given = _bearer(request)
        if given is None:
            given = request.query.get("key", "").strip().encode()
        if not hmac.compare_digest(given, self._key):
            raise Refused("unauthorized", "This gateway asks for a key: send Authorization: Bearer KEY, or ?key=KEY.")

    def protects(self, handler: Handler) -> Handler:
        """The handler, behind this guard."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self.check(request)
            return await handler(request)

        return handle


class AdminGuard:
    """Lets those change something who have the admin key; without any key, those who sit at this machine.

    An address may try ten times at once and then once a second, so that a key can't be guessed.
    """

    def __init__(
        self,
        admin_key: str | None,
        *,
        has_api_key: bool,
        is_local: bool,
        clock: Callable[[], float] = time.monotonic,
        burst: int = 10,
    ) -> None:
        """`is_local`: the gateway listens on a loopback address alone."""
        self._key = admin_key.encode() if admin_key else None
        self._is_open = not has_api_key and is_local
        self._attempts = Attempts(burst=burst, per_s=1.0, clock=clock)

    def steering(self, request: web.Request) -> tuple[Steering, str]:
        """What this client is to expect, and why."""
        if self._key is not None:
            return "key", ""
        if not self._is_open:
            return "off", _NO_KEY
        # A name that somebody else's server resolves to 127.0.0.1 makes this machine's browser speak for that somebody.
        return ("open", "") if _host_name(request) in _LOCAL_NAMES else ("off", _NOT_LOCAL)

    def check(self, request: web.Request) -> None:
        """Before anything is changed. Raises `Refused`."""
        check_origin(request)
        if request.content_type != "application/json":
            # A form of another site can't say that it is JSON without being asked for leave, which is never given.
            raise Refused("unsupported-media-type", "Send Content-Type: application/json.")
        steering, reason = self.steering(request)
        if steering == "off":
            raise Refused("steering-off", reason)
        if not self._attempts.grant(request.remote or ""):
            raise Refused("too-many-requests", "Too many commands from this address; wait a second for each more.")
        if self._key is not None and not hmac.compare_digest(_bearer(request) or b"", self._key):
            raise Refused("not-admin", "That takes the admin key: send Authorization: Bearer ADMIN_KEY.")


class Attempts:
    """A bucket of tokens for each address; those that were silent longest are forgotten first."""

    _ADDRESSES: Final = 1_024

    def __init__(self, *, burst: int, per_s: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def grant(self, address: str) -> bool:
        """Whether it may try once more now."""
        now = self._clock()
        left, at = self._left.pop(address, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_s)
        is_granted = left >= 1
        self._left[address] = (left - is_granted, now)
        if len(self._left) > self._ADDRESSES:
            self._left.popitem(last=False)
        return is_granted


def check_origin(request: web.Request) -> None:
    """Raises `Refused` for a page of another site."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Refused("foreign-origin", "Pages of other sites may not use this gateway.")


def _bearer(request: web.Request) -> bytes | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip().encode() if scheme.lower() == "bearer" else None


def _host_name(request: web.Request) -> str | None:
    try:
        return urlsplit(f"//{request.host}").hostname
    except ValueError:
        return None
