"""Frames in, windows out, by position."""

from hypothesis import given
from hypothesis import strategies as st

from actors.policies.windowing import Windowing
from protocol.ids import Samples

W = Samples(512)


def pcm(first: int, end: int) -> bytes:
    """Samples that hold their own position, modulo 2**16."""
    return b"".join((i % 65_536).to_bytes(2, "little") for i in range(first, end))


def taken(windows: Windowing) -> list[tuple[Samples, bytes]]:
    return list(iter(windows.take, None))


def test_a_window_is_whole_when_its_last_frame_has_come() -> None:
    windows = Windowing(W)
    assert windows.add(Samples(0), pcm(0, 320)) is False
    assert windows.add(Samples(320), pcm(320, 640)) is True
    assert taken(windows) == [(0, pcm(0, 512))]


def test_what_was_heard_before_is_ignored() -> None:
    windows = Windowing(W)
    windows.add(Samples(0), pcm(0, 320))
    windows.add(Samples(0), pcm(0, 320))
    windows.add(Samples(160), pcm(160, 600))
    assert taken(windows) == [(0, pcm(0, 512))]


def test_a_window_never_spans_a_gap() -> None:
    windows = Windowing(W)
    windows.add(Samples(0), pcm(0, 320))
    windows.add(Samples(10_000), pcm(10_000, 10_512))
    assert taken(windows) == [(10_000, pcm(10_000, 10_512))]


def test_the_oldest_window_is_dropped_when_too_many_wait() -> None:
    windows = Windowing(W, max_waiting=2)
    windows.add(Samples(0), pcm(0, 512 * 5))
    assert windows.dropped == 3
    assert [position for position, _ in taken(windows)] == [3 * 512, 4 * 512]
    assert len(windows) == 0


def test_at_rest_silence_is_skipped_until_something_sounds() -> None:
    windows, silence, sound = Windowing(W), bytes(1024), b"\x21\x00" * 512
    assert windows.add(Samples(0), silence) is True
    windows.rest(Samples(0))
    assert windows.add(Samples(512), silence) is False
    assert windows.add(Samples(1024), b"\x20\x00\xe0\xff" * 256) is False, "-60 dBFS is silence too"
    assert windows.add(Samples(1536), sound) is True
    assert windows.add(Samples(2048), silence) is True, "it belongs to the sound before it"
    assert [position for position, _ in taken(windows)] == [0, 1536, 2048]
    assert windows.skipped == 2


def test_a_rest_that_was_said_of_an_older_window_is_none() -> None:
    windows, silence = Windowing(W), bytes(1024)
    windows.add(Samples(0), silence)
    windows.add(Samples(512), silence)
    windows.rest(Samples(0))
    assert windows.add(Samples(1024), silence) is True


@given(st.lists(st.tuples(st.integers(-400, 700), st.integers(0, 1500)), max_size=60), st.integers(1, 4))
def test_windows_are_exact_in_order_and_no_more_than_allowed(steps: list[tuple[int, int]], most: int) -> None:
    windows = Windowing(W, max_waiting=most)
    position, last = 0, -1
    for move, length in steps:
        position = max(0, position + move)
        windows.add(Samples(position), pcm(position, position + length))
        position += length
        assert len(windows) <= most
        if move % 2:
            for first, sound in taken(windows):
                assert first > last
                assert sound == pcm(first, first + W)
                last = first + W - 1
