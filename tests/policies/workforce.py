"""Workers to choose from, in a line each."""

from dataclasses import replace

from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, Load

A, B, C = ModelId("model-a"), ModelId("model-b"), ModelId("model-c")


def a_worker(name: str, **changes: object) -> Announcement:
    """It has model A, in memory; `queue` and `p50` are its metrics."""
    worker = Announcement(name=WorkerName(name), addr=f"nats://{name}", models=(A,), resident_models=(A,))
    queue, p50 = changes.pop("queue", 0), changes.pop("p50", 40.0)
    worker = replace(worker, **changes)  # type: ignore[arg-type]  # a test's shorthand
    if "metrics" in changes:
        return worker
    assert isinstance(queue, int)
    assert isinstance(p50, float)
    return replace(worker, metrics=Load(queue_depth=queue, p50_first_audio_ms=p50))
