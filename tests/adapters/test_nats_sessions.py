"""What only the directory of sessions in NATS does, and how it spares the server."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.bus.nats import NatsBus
from adapters.registry import metrics, nats_sessions
from adapters.registry.backlog import MAX_GONE, Backlog, Due
from adapters.registry.bucket import make_bucket
from adapters.registry.nats_sessions import BUCKET, NatsSessions
from adapters.server.child_process import ChildProcess
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.codec import decode_session, encode_session
from protocol.errors import BusUnavailable
from protocol.ids import SessionId, TurnId
from tests.adapters.directory_stage import SOON_S, an_entry

ONE, TWO = an_entry("s-1"), an_entry("s-2")


def turn(number: int) -> TurnId:
    return TurnId(number)


# --- when what is written (pure) -------------------------------------------------------------------------------------
def test_the_first_word_of_a_session_is_due_at_once_and_the_next_after_a_pause() -> None:
    backlog = Backlog(pause_s=1.0, renew_s=20.0)
    backlog.put(ONE, 5.0)
    assert backlog.take(5.0) == [(ONE.session, ONE)]
    for number in range(1, 9):
        backlog.put(replace(ONE, turn=turn(number)), 5.0 + number / 10)
    assert backlog.take(5.9) == []
    assert backlog.next_due() == 6.0
    assert backlog.take(6.0) == [(ONE.session, replace(ONE, turn=turn(8)))]


def test_one_session_does_not_wait_for_another_and_an_end_waits_for_nobody() -> None:
    backlog = Backlog(pause_s=1.0, renew_s=20.0)
    backlog.put(ONE, 5.0)
    backlog.take(5.0)
    backlog.put(TWO, 5.1)
    backlog.remove(ONE.session)
    assert backlog.take(5.1) == [(ONE.session, None), (TWO.session, TWO)]


def test_while_nothing_changes_an_entry_is_renewed_and_then_left_alone() -> None:
    backlog = Backlog(pause_s=1.0, renew_s=20.0)
    backlog.put(ONE, 5.0)
    backlog.take(5.0)
    assert backlog.next_due() == 25.0
    assert backlog.take(25.0) == [(ONE.session, ONE)]
    assert backlog.next_due() == 45.0
    backlog.remove(ONE.session)
    backlog.take(26.0)
    assert backlog.next_due() is None


def test_what_could_not_be_written_is_due_again_as_what_is_newest_by_then() -> None:
    backlog = Backlog(pause_s=1.0, renew_s=20.0)
    backlog.put(ONE, 5.0)
    backlog.put(TWO, 5.0)
    taken = backlog.take(5.0)
    backlog.put(replace(ONE, turn=turn(1)), 5.2)
    backlog.remove(TWO.session)
    backlog.give_back(taken, 5.3)
    again = backlog.take(5.3)
    assert again == [(TWO.session, None), (ONE.session, replace(ONE, turn=turn(1)))]
    backlog.give_back(again[:1], 5.4)
    assert backlog.take(5.4) == [(TWO.session, None)]


def test_what_ends_in_an_outage_without_end_is_forgotten_in_the_end() -> None:
    backlog = Backlog(pause_s=1.0, renew_s=20.0)
    for number in range(MAX_GONE + 10):
        backlog.put(an_entry(f"s-{number}"), 5.0)
        backlog.remove(SessionId(f"s-{number}"))
    assert len(backlog.take(6.0)) == MAX_GONE


# --- on a server -----------------------------------------------------------------------------------------------------
async def test_a_session_that_changes_all_the_time_costs_few_messages(bus: NatsBus) -> None:
    await make_bucket(bus.client.jetstream(), replicas=1, bucket=BUCKET)
    spy = await bus.client.subscribe(f"$KV.{BUCKET}.>")
    await bus.client.flush()
    directory = NatsSessions(bus, pause_s=0.2)
    last = turn(1_000)
    for number in range(1, last + 1):
        directory.write(replace(ONE, turn=turn(number)))
        if number % 100 == 0:
            await asyncio.sleep(0)
    told: list[int] = []
    while not told or told[-1] != last:
        told.append(decode_session((await spy.next_msg(timeout=SOON_S)).data).turn)
    assert len(told) <= 2
    await directory.close()


async def test_an_observer_of_everything_does_not_keep_the_bucket_from_being_made(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_sessions, "_CALL_S", 0.3)
    monkeypatch.setattr(nats_sessions, "_RETRY_S", (0.01, 0.02))
    spy = await bus.client.subscribe(">")
    await bus.client.flush()
    directory = NatsSessions(bus)
    directory.write(ONE)
    while not await directory.entries():
        await spy.next_msg(timeout=SOON_S)
    assert await directory.entries() == [ONE]
    await directory.close()


async def test_an_entry_is_renewed_before_it_expires_and_says_the_same(bus: NatsBus) -> None:
    await make_bucket(bus.client.jetstream(), replicas=1, bucket=BUCKET)
    spy = await bus.client.subscribe(f"$KV.{BUCKET}.>")
    await bus.client.flush()
    directory = NatsSessions(bus, renew_s=0.1)
    directory.write(ONE)
    for _ in range(3):
        message = await spy.next_msg(timeout=SOON_S)
        assert decode_session(message.data) == ONE
        assert message.headers is not None
        assert message.headers["Nats-TTL"] == str(nats_sessions.TTL_S)
    await directory.close()


async def test_it_closes_though_nats_py_swallows_its_cancellation(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` of Python 3.11 does when the answer comes in the same turn of the loop."""
    writing, publish = asyncio.Event(), NatsSessions._publish

    async def swallow(directory: NatsSessions, what: Due) -> None:
        if writing.is_set():
            await publish(directory, what)
            return
        writing.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(NatsSessions, "_publish", swallow)
    directory = NatsSessions(bus)
    directory.write(ONE)
    await writing.wait()
    async with asyncio.timeout(SOON_S):
        await directory.close()


async def test_closed_sessions_leave_nothing_in_the_bucket_for_good(bus: NatsBus) -> None:
    directory = NatsSessions(bus)
    directory.write(ONE)
    await directory.close()
    js = bus.client.jetstream()
    message = await js.get_last_msg(f"KV_{BUCKET}", f"$KV.{BUCKET}.{ONE.session}")
    assert message.headers is not None
    assert message.headers["KV-Operation"] == "DEL"
    assert int(message.headers["Nats-TTL"]) > 0


async def test_what_is_no_entry_or_another_sessions_is_passed_over(bus: NatsBus) -> None:
    directory = NatsSessions(bus)
    directory.write(ONE)
    await directory.close()
    js = bus.client.jetstream()
    bucket = await js.key_value(BUCKET)
    await bucket.put("s-7", b"{}")
    await bucket.put("s-8", encode_session(TWO))
    await bucket.put(TWO.session, encode_session(TWO))
    reader = NatsSessions(bus)
    assert await reader.entries() == [TWO]
    await reader.close()


async def test_without_jetstream_one_line_is_logged_and_reading_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_sessions, "_CALL_S", 0.1)
    monkeypatch.setattr(nats_sessions, "_RETRY_S", (0.01, 0.02))
    spare = EmbeddedNats(tmp_path / "spare")
    await spare.start()
    await spare.stop()
    plain = ChildProcess([str(binary()), "-a", "127.0.0.1", "-p", str(spare.port)], log_file=tmp_path / "log")
    await plain.start()
    bus = await _connected(spare.url)
    spy = await bus.client.subscribe(f"$KV.{BUCKET}.>")
    await bus.client.flush()
    failed = metrics.SESSIONS_NOT_WRITTEN._value.get()
    with capture_logs() as logs:
        directory = NatsSessions(bus)
        directory.write(ONE)
        for _ in range(4):
            await spy.next_msg(timeout=SOON_S)
        with pytest.raises(BusUnavailable, match=r"cannot be read.*JetStream"):
            await directory.entries()
        await directory.close()
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["sessions are not told"]
    assert metrics.SESSIONS_NOT_WRITTEN._value.get() >= failed + 3
    await bus.close()
    await plain.stop()


async def _connected(url: str) -> NatsBus:
    async with asyncio.timeout(5):
        while True:
            try:
                return await NatsBus.connect(url, name="test")
            except BusUnavailable:
                await asyncio.sleep(0.02)
