"""Answers `control.router.route` for whoever has no router of their own. On the loop."""

from dataclasses import replace
from typing import Any, Final

import structlog

from actors.policies.routing import Placement, Requirements
from actors.router import Explained, Router
from protocol.errors import BusUnavailable, Refused
from protocol.exchanges import EXCHANGES
from protocol.message import Message
from protocol.ports import Bus, Respond, Subscription
from protocol.routing import Route, Routed, RouteRefused
from protocol.subjects import Subject
from protocol.subjects import router as router_subject

QUEUE: Final = EXCHANGES["router"].queue
"""One of the group answers each request: any number of routers share the load, and none knows of another."""
_LONGEST_REASON: Final = 1_000

log = structlog.get_logger(__name__)


class RoutingService:
    """A router's answers over the bus."""

    def __init__(self, bus: Bus, router: Router) -> None:
        self._bus = bus
        self._router = router
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Answer from now on.

        Sessions of this process ask the router itself: where we may not answer others, that is logged and no reason to
        end.
        """
        try:
            self._subscription = await self._bus.subscribe(router_subject(), self._on_request, queue=QUEUE)
        except BusUnavailable as error:
            log.warning("routing not offered to others", reason=str(error))

    def stop(self) -> None:
        """Answer no more; the others of the group do."""
        if self._subscription is not None:
            self._subscription.cancel()

    def _on_request(self, _subject: Subject, message: Any, respond: Respond | None) -> None:
        if respond is not None and isinstance(message, Route):
            respond(self._answer(message))

    def _answer(self, route: Route) -> Message:
        wanted = Requirements(
            kind=route.kind,
            language=route.language,
            model=route.model,
            needs=route.needs,
            sample_rate=route.sample_rate,
            avoid=frozenset(route.avoid),
        )
        if route.explain:
            return _told(self._router.explain(wanted, when_cold=route.when_cold))
        try:
            return _routed(self._router.place(wanted, when_cold=route.when_cold))
        except Refused as refused:
            return RouteRefused(code=refused.code, reason=refused.reason[:_LONGEST_REASON])


def _routed(placement: Placement) -> Routed:
    return Routed(
        worker=placement.worker.name,
        model=placement.model or None,
        resident=placement.resident,
        instead_of=placement.instead_of,
    )


def _told(explained: Explained) -> Message:
    outcome, candidates, left_off = explained.outcome, explained.candidates, explained.left_off
    if isinstance(outcome, Refused):
        reason = outcome.reason[:_LONGEST_REASON]
        return RouteRefused(code=outcome.code, reason=reason, candidates=candidates, left_off=left_off)
    return replace(_routed(outcome), candidates=candidates, left_off=left_off)
