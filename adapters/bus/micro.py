"""Says what this process serves: the `$SRV` half of a NATS micro service (ADR-32).

Not `nats.micro`: that one owns its endpoints' subscriptions and awaits one handler after the other, so each verb would
have a second way in, past the codec, the counters and the sender of our bus, and a slow `load_model` would stand before
a `drain`. Here the bus's own subscriptions answer; this only answers questions about them, from the same counters.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from nats.aio.msg import Msg

from adapters.bus.inbox import Lifeline
from adapters.bus.tally import Tallies, Tally
from protocol.services import Service

PATTERN: Final = "$SRV.>"
_TYPE: Final = "io.nats.micro.v1.{}_response"

Send = Callable[[str, bytes], None]


class MicroService:
    """Answers `$SRV.PING`, `.INFO` and `.STATS`, to all, to those of its name, and to its own id. On the loop."""

    def __init__(self, service: Service, tallies: Tallies, send: Send) -> None:
        self._service = service
        self._tallies = tallies
        self._send = send
        self._id = uuid.uuid4().hex
        self._started = datetime.now(UTC)
        self._counted = [(endpoint, tallies.open(endpoint.subject)) for endpoint in service.endpoints]
        self._answers: dict[str, Callable[[], dict[str, Any]]] = {
            "PING": self._ping,
            "INFO": self._info,
            "STATS": self._stats,
        }
        self.lifeline = Lifeline(self._forget)

    async def deliver(self, msg: Msg) -> None:
        """Called by nats-py on the loop."""
        verb, *whom = msg.subject.split(".")[1:]
        answer = self._answers.get(verb)
        if self.lifeline.is_cancelled or answer is None or not msg.reply:
            return
        if whom in ([], [self._service.name], [self._service.name, self._id]):
            self._send(msg.reply, orjson.dumps(answer()))

    def _forget(self) -> None:
        for endpoint in self._service.endpoints:
            self._tallies.close(endpoint.subject)

    # --- what is said -----------------------------------------------------------------------------------------------
    def _ping(self) -> dict[str, Any]:
        return self._identity("ping")

    def _info(self) -> dict[str, Any]:
        endpoints = [
            {"name": it.name, "subject": it.subject, "queue_group": it.queue, "metadata": {}}
            for it in self._service.endpoints
        ]
        return {**self._identity("info"), "description": self._service.description, "endpoints": endpoints}

    def _stats(self) -> dict[str, Any]:
        endpoints = [
            {"name": it.name, "subject": it.subject, "queue_group": it.queue, **_figures(tally)}
            for it, tally in self._counted
        ]
        started = self._started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {**self._identity("stats"), "started": started, "endpoints": endpoints}

    def _identity(self, what: str) -> dict[str, Any]:
        service = self._service
        return {
            "type": _TYPE.format(what),
            "name": service.name,
            "id": self._id,
            "version": service.version,
            "metadata": dict(service.metadata),
        }


def _figures(tally: Tally) -> dict[str, Any]:
    return {
        "num_requests": tally.requests,
        "num_errors": tally.errors,
        "last_error": tally.last_error,
        "processing_time": tally.processing_ns,
        "average_processing_time": tally.processing_ns // tally.answers if tally.answers else 0,
    }
