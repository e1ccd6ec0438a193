"""What a bridge says of a worker on the other side. Pure."""

from dataclasses import replace
from typing import Final

from protocol.ids import UnixMicros
from protocol.workers import Announcement

VIA: Final = "bridge"


def mirrored(here: Announcement | None, there: Announcement | None, first_seen: UnixMicros) -> Announcement | None:
    """What to announce there of a worker that is announced here; None: nothing.

    What came over a bridge never goes back over one, and who speaks for himself there needs none. A worker that does
    not say when it started is given the time of first sight: of the earliest one, so that all bridges say the same.
    """
    if here is None or here.via or (there is not None and not there.via):
        return None
    started_at = here.started_at
    if not started_at:
        seen_there = there.started_at if there is not None else UnixMicros(0)
        started_at = min(first_seen, seen_there or first_seen)
    return replace(here, via=VIA, started_at=started_at)
