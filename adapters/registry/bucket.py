"""Key-value buckets whose entries have a time to live, and the one in which workers announce themselves."""

from contextlib import suppress
from typing import Final

from nats.js.api import KeyValueConfig, StorageType
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError

from protocol.codec import decode_announcement
from protocol.errors import MalformedMessage
from protocol.ids import WorkerName
from protocol.workers import Announcement

BUCKET: Final = "workers"
STREAM: Final = f"KV_{BUCKET}"
ALL_KEYS: Final = f"$KV.{BUCKET}.>"
MARKER_S: Final = 60
"""How long it is remembered that a key is gone."""


async def make_bucket(js: JetStreamContext, *, replicas: int, bucket: str = BUCKET) -> None:
    """Harmless when it exists, made by others with settings of their own."""
    config = KeyValueConfig(bucket=bucket, storage=StorageType.FILE, replicas=replicas, limit_marker_ttl=MARKER_S)
    with suppress(BadRequestError):
        await js.create_key_value(config)


def subject_of(announcement: Announcement) -> str:
    """Where an announcement is written."""
    return f"$KV.{BUCKET}.{announcement.kind}.{announcement.name}"


def worker_of(subject: str) -> WorkerName:
    """Whose key was written."""
    return WorkerName(subject.rpartition(".")[2])


def announcement_of(name: WorkerName, data: bytes) -> Announcement:
    """What was written there.

    Raises:
        MalformedMessage: it is no announcement, or somebody else's.
    """
    announcement = decode_announcement(data)
    if announcement.name != name:
        raise MalformedMessage(f"it calls itself {announcement.name}")
    return announcement


def in_words(error: Exception) -> str:
    """What NATS says."""
    return str(error).removeprefix("nats: ") or type(error).__name__
