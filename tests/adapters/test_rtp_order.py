from hypothesis import given
from hypothesis import strategies as st

from adapters.transport.rtp_order import PATIENCE, MicPacket, RtpOrder


def packet(sequence: int) -> MicPacket:
    return MicPacket(sequence & 0xFFFF, sequence * 960 & 0xFFFFFFFF, b"x")


def heard(order: RtpOrder, *sequences: int) -> list[int]:
    return [p.sequence for s in sequences for p in order.put(packet(s))]


def test_packets_in_order_are_heard_at_once() -> None:
    order = RtpOrder()
    for sequence in range(65_530, 65_550):
        assert heard(order, sequence) == [sequence & 0xFFFF]


def test_two_that_changed_places_are_put_right() -> None:
    assert heard(RtpOrder(), 1, 3, 2, 4) == [1, 2, 3, 4]


def test_a_lost_packet_delays_the_others_by_no_more_than_the_patience() -> None:
    order = RtpOrder()
    assert heard(order, 1) == [1]
    assert heard(order, 3, 4) == []
    assert heard(order, 5) == [3, 4, 5]
    assert heard(order, 6) == [6]


def test_what_comes_after_it_was_given_up_is_dropped() -> None:
    order = RtpOrder()
    heard(order, 1, 3, 4, 5)
    assert heard(order, 2) == []
    assert order.late == 1


def test_duplicates_are_dropped() -> None:
    assert heard(RtpOrder(), 1, 1, 2, 2, 1, 3) == [1, 2, 3]


def test_a_new_stream_begins_anew() -> None:
    assert heard(RtpOrder(), 10, 11, 40_000, 40_001) == [10, 11, 40_000, 40_001]


@given(st.lists(st.integers(-3, 6), max_size=200))
def test_nothing_is_heard_twice_or_out_of_order_and_little_is_kept(steps: list[int]) -> None:
    order = RtpOrder()
    sequence, out = 70_000, []
    for step in steps:
        sequence += step
        out += [p.timestamp for p in order.put(packet(sequence))]
        assert len(order._waiting) < PATIENCE
    assert out == sorted(set(out))
