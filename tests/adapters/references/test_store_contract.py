"""What every store of recordings does, the real one and the fake."""

import asyncio

import numpy as np
import pytest

from adapters.bus.nats import NatsBus
from adapters.references.nats_objects import BUCKET, KEPT_BUCKET, NatsReferences
from adapters.server.embedded_nats import EmbeddedNats
from protocol.errors import BusUnavailable, Refused
from protocol.ids import SessionId
from protocol.ports import Reference, ReferenceStore
from tests.fakes.references import FakeReferenceStore

ONE, TWO = SessionId("s-one"), SessionId("s-two")


def a_recording(seconds: float = 3.0, rate: int = 24_000) -> Reference:
    pcm = 0.5 * np.sin(np.arange(int(seconds * rate)) * 0.05)
    return Reference(pcm=pcm.astype(np.float32), sample_rate=rate, text="Was hier gesagt wird: ja.")


@pytest.fixture(params=["fake", "nats"])
def store(request: pytest.FixtureRequest) -> ReferenceStore:
    if request.param == "fake":
        return FakeReferenceStore()
    return NatsReferences(request.getfixturevalue("bus"))


async def test_what_is_put_is_got_again(store: ReferenceStore) -> None:
    recording = a_recording()
    got = await store.get(await store.put(recording))
    assert (got.sample_rate, got.text) == (recording.sample_rate, recording.text)
    assert np.allclose(got.pcm, recording.pcm, atol=1e-4)


async def test_half_a_minute_at_the_highest_rate_goes_through(store: ReferenceStore) -> None:
    recording = a_recording(30.0, 48_000)
    assert len((await store.get(await store.put(recording))).pcm) == len(recording.pcm)


async def test_what_was_deleted_is_gone_and_deleting_again_says_so(store: ReferenceStore) -> None:
    name = await store.put(a_recording())
    assert await store.delete(name)
    assert not await store.delete(name)
    with pytest.raises(Refused, match="no-such-reference"):
        await store.get(name)


@pytest.mark.parametrize("name", ["nobody", "kept-nobody"])
async def test_what_was_never_there_is_refused(store: ReferenceStore, name: str) -> None:
    with pytest.raises(Refused, match="no-such-reference"):
        await store.get(name)
    with pytest.raises(Refused, match="no-such-reference"):
        await store.claim(name, ONE)
    assert not await store.delete(name)


async def test_a_recording_belongs_to_the_session_that_claimed_it(store: ReferenceStore) -> None:
    name = await store.put(a_recording())
    await store.claim(name, ONE)
    await store.claim(name, ONE)
    with pytest.raises(Refused, match="no-such-reference"):
        await store.claim(name, TWO)
    assert not await store.delete(name, if_unclaimed=True)
    assert (await store.get(name)).seconds == 3.0
    assert await store.delete(name)


async def test_one_that_nobody_claimed_is_deleted_as_such(store: ReferenceStore) -> None:
    name = await store.put(a_recording())
    assert await store.delete(name, if_unclaimed=True)


async def test_what_a_session_releases_belongs_to_nobody_again(store: ReferenceStore) -> None:
    name = await store.put(a_recording())
    await store.claim(name, ONE)
    await store.release(name, TWO)
    with pytest.raises(Refused, match="no-such-reference"):
        await store.claim(name, TWO)
    await store.release(name, ONE)
    await store.claim(name, TWO)
    assert (await store.get(name)).seconds == 3.0
    await store.release("nobody", ONE)


async def test_a_kept_one_belongs_to_all(store: ReferenceStore) -> None:
    name = await store.put(a_recording(), kept=True)
    await store.claim(name, ONE)
    await store.claim(name, TWO)
    assert (await store.get(name)).seconds == 3.0


async def test_names_fit_the_protocol_and_differ(store: ReferenceStore) -> None:
    names = {await store.put(a_recording(1.0), kept=kept) for kept in (False, True, False)}
    assert len(names) == 3
    assert all(len(name) <= 64 and name == name.lower() for name in names)


async def test_another_process_sees_what_was_put(nats_server: EmbeddedNats, bus: NatsBus) -> None:
    name = await NatsReferences(bus).put(a_recording())
    other = await NatsBus.connect(nats_server.url, name="another")
    try:
        assert (await NatsReferences(other).get(name)).seconds == 3.0
    finally:
        await other.close()


async def test_what_is_not_kept_ends_after_a_day(bus: NatsBus) -> None:
    store = NatsReferences(bus)
    await store.put(a_recording())
    await store.put(a_recording(), kept=True)
    js = bus.client.jetstream()
    assert (await (await js.object_store(BUCKET)).status()).ttl == 24 * 3600
    assert not (await (await js.object_store(KEPT_BUCKET)).status()).ttl


async def test_a_full_store_refuses_and_takes_again_once_there_is_room(bus: NatsBus) -> None:
    store = NatsReferences(bus)
    name = await store.put(a_recording())
    js = bus.client.jetstream()
    config = (await js.stream_info(f"OBJ_{BUCKET}")).config
    config.max_bytes = 200_000
    await js.update_stream(config)
    with pytest.raises(Refused, match="references-full"):
        await store.put(a_recording())
    await store.delete(name)
    assert await store.put(a_recording(1.0))


async def test_a_server_that_is_gone_is_told_and_one_that_is_back_is_used(
    nats_server: EmbeddedNats, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = NatsReferences(bus)
    name = await store.put(a_recording())
    await nats_server.stop()
    with monkeypatch.context() as impatient:
        impatient.setattr("adapters.references.nats_objects._TIMEOUT_S", 0.3)
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(20):
                await store.get(name)
    back = asyncio.Event()
    bus.on_reconnect(back.set)
    await nats_server.start()
    await asyncio.wait_for(back.wait(), 20)
    assert (await store.get(name)).seconds == 3.0


def test_neither_sound_nor_text_is_shown_when_it_is_printed() -> None:
    assert repr(a_recording()) == "Reference(sample_rate=24000)"
