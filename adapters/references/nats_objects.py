"""Recordings in NATS' object store (`protocol.ports.ReferenceStore`)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import ObjectMeta, ObjectMetaOptions, ObjectStoreConfig, StorageType
from nats.js.errors import APIError, BadRequestError, BucketNotFoundError, NotFoundError
from nats.js.object_store import ObjectStore

from adapters.bus.nats import NatsBus
from adapters.references.packing import pack, unpack
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.ids import SessionId
from protocol.ports import Reference
from protocol.speaking import ReferenceId

BUCKET: Final = "references"
KEPT_BUCKET: Final = "references-kept"
_DAY_S: Final = 24 * 3600.0
_MAX_BYTES: Final = 96 * 2**20
"""Of a bucket: some forty recordings of half a minute. The registry of workers shares the server's store."""
_CHUNK: Final = 32 * 1024
"""Below the server's `max_payload`."""
_TIMEOUT_S: Final = 10.0
_NO_SPACE: Final = (10077, 10047)
"""JetStream's codes for a stream or a store that is full."""
_KEPT: Final = "kept-"


class NatsReferences:
    """Names tell the bucket: what is kept has no end, the rest goes after a day if nobody removes it before."""

    def __init__(self, bus: NatsBus, *, replicas: int = 1) -> None:
        self._bus = bus
        self._replicas = replicas
        self._js = bus.client.jetstream()
        self._stores: dict[str, ObjectStore] = {}

    async def put(self, reference: Reference, *, kept: bool = False) -> ReferenceId:
        """Store it under a name that cannot be guessed."""
        name = (_KEPT if kept else "") + secrets.token_hex(16)
        meta = ObjectMeta(name=name, options=ObjectMetaOptions(max_chunk_size=_CHUNK))
        async with self._asking():
            store = await self._store(name)
            await store.put(name, pack(reference), meta)
        return name

    async def get(self, name: ReferenceId) -> Reference:
        """The recording."""
        async with self._asking():
            found = await (await self._store(name)).get(name)
        try:
            return unpack(found.data or b"")
        except MalformedMessage as error:
            raise Refused("no-such-reference", f"the recording is spoilt: {error}") from error

    async def claim(self, name: ReferenceId, session: SessionId) -> None:
        """It belongs to this session from now on."""
        async with self._asking():
            store = await self._store(name)
            info = await store.get_info(name)
            if name.startswith(_KEPT) or info.description == session:
                return
            if info.description:
                raise _none()
            await store.update_meta(name, ObjectMeta(name=name, description=session, options=info.options))

    async def release(self, name: ReferenceId, session: SessionId) -> None:
        """If it is this session's, it belongs to nobody again."""
        try:
            async with self._asking():
                store = await self._store(name)
                info = await store.get_info(name)
                if info.description == session:
                    await store.update_meta(name, ObjectMeta(name=name, options=info.options))
        except Refused:
            return

    async def delete(self, name: ReferenceId, *, if_unclaimed: bool = False) -> bool:
        """Remove it, at once."""
        try:
            async with self._asking():
                store = await self._store(name)
                if if_unclaimed and (await store.get_info(name)).description:
                    return False
                await store.delete(name)
        except Refused:
            return False
        return True

    async def _store(self, name: ReferenceId) -> ObjectStore:
        bucket = KEPT_BUCKET if name.startswith(_KEPT) else BUCKET
        if bucket not in self._stores:
            self._stores[bucket] = await self._open(bucket)
        return self._stores[bucket]

    async def _open(self, bucket: str) -> ObjectStore:
        try:
            return await self._js.object_store(bucket)
        except (BucketNotFoundError, NotFoundError):
            config = ObjectStoreConfig(
                bucket=bucket,
                ttl=None if bucket == KEPT_BUCKET else _DAY_S,
                max_bytes=_MAX_BYTES,
                storage=StorageType.FILE,
                replicas=self._replicas,
            )
            try:
                return await self._js.create_object_store(bucket, config=config)
            except BadRequestError:  # somebody else has just made it
                return await self._js.object_store(bucket)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """What NATS says, in our words."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                yield
        except NotFoundError as error:
            raise _none() from error
        except APIError as error:
            if error.err_code in _NO_SPACE:
                raise Refused("references-full", "There is no room for another recording now; try later.") from error
            raise BusUnavailable(f"recordings cannot be reached: {error.description}") from error
        except (NatsError, TimeoutError, OSError) as error:
            self._stores.clear()
            raise BusUnavailable(f"recordings cannot be reached: {error or type(error).__name__}") from error


def _none() -> Refused:
    return Refused("no-such-reference", "There is no such recording, or it is another session's; upload it again.")
