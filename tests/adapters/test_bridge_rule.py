from dataclasses import replace

from adapters.registry.bridge_rule import VIA, mirrored
from protocol.ids import UnixMicros
from tests.adapters.registry_stage import WORKER

NOW = UnixMicros(1_000)
FOREIGN = replace(WORKER, started_at=UnixMicros(0))


def test_who_is_announced_here_is_announced_there_and_marked() -> None:
    assert mirrored(WORKER, None, NOW) == replace(WORKER, via=VIA)


def test_who_is_nowhere_is_not_announced() -> None:
    assert mirrored(None, None, NOW) is None
    assert mirrored(None, replace(WORKER, via=VIA), NOW) is None


def test_what_came_over_a_bridge_does_not_go_back() -> None:
    assert mirrored(replace(WORKER, via=VIA), None, NOW) is None
    assert mirrored(replace(WORKER, via="another bridge"), None, NOW) is None


def test_who_speaks_for_himself_there_is_left_alone() -> None:
    assert mirrored(WORKER, WORKER, NOW) is None


def test_what_was_mirrored_before_is_renewed_with_what_is_true_now() -> None:
    busy = replace(WORKER, sessions=3)
    assert mirrored(busy, replace(WORKER, via=VIA), NOW) == replace(busy, via=VIA)


def test_a_worker_that_does_not_say_when_it_started_started_when_it_was_first_seen() -> None:
    assert mirrored(FOREIGN, None, NOW) == replace(WORKER, via=VIA, started_at=NOW)


def test_two_bridges_agree_on_who_saw_it_first() -> None:
    by_another = replace(WORKER, via=VIA, started_at=UnixMicros(900))
    assert mirrored(FOREIGN, by_another, NOW) == by_another
    assert mirrored(FOREIGN, replace(by_another, started_at=UnixMicros(1_100)), NOW) == replace(
        by_another, started_at=NOW
    )
    assert mirrored(FOREIGN, replace(by_another, started_at=UnixMicros(0)), NOW) == replace(by_another, started_at=NOW)


def test_who_says_when_it_started_is_believed_whatever_was_mirrored_before() -> None:
    restarted = replace(WORKER, started_at=UnixMicros(2_000))
    assert mirrored(restarted, replace(WORKER, via=VIA), NOW) == replace(restarted, via=VIA)
