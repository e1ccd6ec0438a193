"""What workers and routers show of themselves to `nats service ls`: their verbs, by the subjects they answer on."""

from importlib.metadata import version
from typing import Final

import structlog

from actors.routing_service import QUEUE
from protocol.errors import BusUnavailable
from protocol.ports import Bus, Subscription
from protocol.services import Endpoint, Service
from protocol.subjects import router, worker
from protocol.workers import Announcement, WorkerKind

_VERBS: Final[dict[WorkerKind, tuple[str, ...]]] = {
    "tts": ("capabilities", "list_models", "load_model", "unload_model", "reload", "drain"),
    "asr": ("capabilities", "list_models", "drain"),
}
_DESCRIPTIONS: Final[dict[WorkerKind, str]] = {"tts": "Speaks for sessions", "asr": "Listens to sessions"}

log = structlog.get_logger(__name__)


def worker_service(announcement: Announcement, *, family: str) -> Service:
    """Of one worker."""
    name, kind = announcement.name, announcement.kind
    return Service(
        name=f"antiphon-{kind}",
        version=version("antiphon"),
        description=_DESCRIPTIONS[kind],
        metadata={"worker": name, "family": family},
        endpoints=tuple(Endpoint(name=verb, subject=worker(name, verb)) for verb in _VERBS[kind]),
    )


def router_service() -> Service:
    """Of one router of the queue group."""
    return Service(
        name="antiphon-router",
        version=version("antiphon"),
        description="Finds the worker for a session",
        endpoints=(Endpoint(name="route", subject=router("route"), queue=QUEUE),),
    )


class Offer:
    """A service that is shown, or would be if the server let us: it works all the same."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._shown: Subscription | None = None

    async def show(self, service: Service) -> None:
        """From now on. Harmless when repeated."""
        if self._shown is not None:
            return
        try:
            self._shown = await self._bus.offer(service)
        except BusUnavailable as error:
            log.warning("service not shown", service=service.name, reason=str(error))

    def end(self) -> None:
        """No longer."""
        if self._shown is not None:
            self._shown.cancel()
            self._shown = None
