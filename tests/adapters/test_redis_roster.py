from typing import Any

import orjson
import structlog

from adapters.registry.redis_place import Key
from adapters.registry.redis_roster import Change, Roster

LEASE_S = 10.0
KEY = Key("tts", "w@0")
RIVAL = Key("tts", "w.0")


def a_document(key: Key, **more: Any) -> bytes:
    return orjson.dumps({"name": key.name, "addr": "", **more})


def names(changes: list[Change]) -> list[tuple[str, bool]]:
    return [(name, announcement is not None) for name, announcement in changes]


def test_the_same_again_is_no_change_and_renews_the_lease() -> None:
    roster = Roster(LEASE_S)
    assert names(roster.read(KEY, a_document(KEY), 0.0)) == [("w-0", True)]
    assert roster.read(KEY, a_document(KEY), 9.0) == []
    assert roster.expire(18.0) == []
    assert names(roster.expire(19.1)) == [("w-0", False)]
    assert (roster.keys(), roster.snapshot()) == ((), ())


def test_of_two_that_would_be_reached_by_one_name_the_second_is_refused_until_the_first_has_gone() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    with structlog.testing.capture_logs() as logs:
        for second in range(3):
            assert roster.read(RIVAL, a_document(RIVAL, sessions=second), float(second)) == []
    assert [(line["worker"], line["name"], line["by"]) for line in logs] == [("w.0", "w-0", "w@0")]
    assert names(roster.missing(KEY)) == [("w-0", False)]
    assert names(roster.read(RIVAL, a_document(RIVAL, sessions=2), 3.0)) == [("w-0", True)]


def test_who_is_refused_may_go_without_anybody_noticing() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    roster.read(RIVAL, a_document(RIVAL), 0.0)
    assert roster.missing(RIVAL) == []
    assert len(roster.snapshot()) == 1


def test_who_moves_to_another_address_is_gone_here_and_new_there() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    moved = roster.read(KEY, a_document(KEY, addr="nats://elsewhere"), 1.0)
    assert names(moved) == [("w-0", False), ("elsewhere", True)]


def test_a_document_that_turns_malformed_is_told_of_once_and_ends_with_its_lease() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    with structlog.testing.capture_logs() as logs:
        for second in range(1, 5):
            assert roster.read(KEY, a_document(KEY, state=f"odd-{second}"), float(second)) == []
    assert len(logs) == 1
    assert len(roster.snapshot()) == 1
    assert names(roster.expire(10.1)) == [("w-0", False)]
    assert names(roster.read(KEY, a_document(KEY), 11.0)) == [("w-0", True)]


def test_a_malformed_one_that_goes_leaves_nothing() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, b"{", 0.0)
    roster.out_of_reach(1.0)
    assert roster.missing(KEY) == []
    assert roster.keys() == ()


def test_after_an_outage_what_is_missing_has_a_whole_lease_to_come_back() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    roster.out_of_reach(100.0)
    assert roster.missing(KEY) == []
    assert roster.expire(110.0) == []
    assert names(roster.expire(110.1)) == [("w-0", False)]


def test_what_was_seen_since_the_outage_is_gone_as_soon_as_it_is_missing() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    roster.out_of_reach(100.0)
    roster.read(KEY, a_document(KEY), 101.0)
    assert names(roster.missing(KEY)) == [("w-0", False)]


def test_who_says_goodbye_is_gone_whatever_happened_before() -> None:
    roster = Roster(LEASE_S)
    roster.read(KEY, a_document(KEY), 0.0)
    roster.out_of_reach(100.0)
    assert names(roster.missing(KEY, certainly=True)) == [("w-0", False)]


def test_there_is_an_end_to_how_many_it_takes_and_it_says_so_once() -> None:
    roster = Roster(LEASE_S, limit=2)
    with structlog.testing.capture_logs() as logs:
        for n in range(5):
            key = Key("tts", f"w{n}")
            roster.read(key, a_document(key), 0.0)
    assert (len(roster.keys()), len(logs)) == (2, 1)
    roster.missing(Key("tts", "w0"))
    assert names(roster.read(Key("tts", "w4"), a_document(Key("tts", "w4")), 1.0)) == [("w4", True)]
