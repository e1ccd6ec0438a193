"""What is served on the bus, as whoever looks for services sees it (`nats service ls`; NATS's ADR-32)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A subject that is answered.

    Attributes:
        subject: without wildcards.
        queue: the group that shares it; empty when each instance has a subject of its own.
    """

    name: str
    subject: Subject
    queue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One instance of a service.

    Attributes:
        name: of its kind, `[a-zA-Z0-9_-]+`.
        version: a semantic version.
    """

    name: str
    version: str
    description: str
    endpoints: tuple[Endpoint, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
