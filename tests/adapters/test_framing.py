import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.audio.framing import Framer


@given(sizes=st.lists(st.integers(0, 3_000), max_size=10))
def test_frames_are_the_samples_in_order_and_the_last_is_filled_with_silence(sizes: list[int]) -> None:
    whole = np.linspace(-1.0, 1.0, sum(sizes), dtype=np.float32)
    framer = Framer()
    frames = [frame for chunk in np.split(whole, np.cumsum(sizes)[:-1]) for frame in framer.push(chunk)]
    frames.append(framer.finish())
    assert all(len(frame) == 1920 for frame in frames)
    assert len(frames) == max(1, -(-sum(sizes) // 960))
    samples = np.frombuffer(b"".join(frames), "<i2")
    assert np.array_equal(samples[: sum(sizes)], np.rint(whole * 32767).astype(np.int16))
    assert not samples[sum(sizes) :].any()


def test_a_complete_frame_waits_until_it_is_known_not_to_be_the_last() -> None:
    framer = Framer()
    assert framer.push(np.ones(960, np.float32)) == []
    assert len(framer.push(np.ones(1, np.float32))) == 1


def test_a_turn_without_sound_is_one_silent_frame() -> None:
    assert Framer().finish() == bytes(1920)
