"""The ring of a session's sound, and who is served next."""

from hypothesis import given
from hypothesis import strategies as st

from actors.policies.listening import WAIT, AudioRing, TranscriptionQueue
from protocol.hearing import Transcribe
from protocol.ids import Millis, Samples, SessionId

ANNE, BERT, CORA = SessionId("anne"), SessionId("bert"), SessionId("cora")


def pcm(first: int, end: int) -> bytes:
    """Samples that hold their own position, never silence."""
    return b"".join((i % 65_535 + 1).to_bytes(2, "little") for i in range(first, end))


def ring_with(*pieces: tuple[int, int], capacity: int = 1_000) -> AudioRing:
    ring = AudioRing(Samples(capacity))
    for first, end in pieces:
        ring.write(Samples(first), pcm(first, end))
    return ring


def ask(session: SessionId, request: int, *, final: bool = False, end: int = 100) -> Transcribe:
    return Transcribe(session=session, request=request, first=Samples(0), end=Samples(end), final=final)


def all_held(_session: SessionId) -> Samples:
    return Samples(10**9)


def nothing_held(_session: SessionId) -> Samples:
    return Samples(0)


def served_in_turn(queue: TranscriptionQueue, now: int = 0) -> list[tuple[SessionId, int]]:
    found = iter(lambda: queue.next(all_held, Millis(now)), None)
    return [(request.session, request.request) for request in found if request is not None]


# --- the ring --------------------------------------------------------------------------------------------------------
def test_what_was_written_is_read_back() -> None:
    assert ring_with((0, 320), (320, 640)).read(Samples(100), Samples(500)) == (100, pcm(100, 500))


def test_a_worker_that_joins_late_holds_nothing_from_before() -> None:
    ring = ring_with((5_000, 5_320))
    assert (ring.first, ring.end) == (5_000, 5_320)
    assert ring.read(Samples(4_000), Samples(5_100)) == (5_000, pcm(5_000, 5_100))


def test_a_lost_frame_is_silence() -> None:
    ring = ring_with((0, 320), (640, 960))
    assert ring.read(Samples(300), Samples(700)) == (300, pcm(300, 320) + bytes(640) + pcm(640, 700))


def test_a_late_frame_fills_its_gap() -> None:
    assert ring_with((0, 320), (640, 960), (320, 640)).read(Samples(0), Samples(960)) == (0, pcm(0, 960))


def test_the_oldest_sound_gives_way() -> None:
    ring = ring_with((0, 900), (900, 1_500))
    assert ring.read(Samples(0), Samples(1_500)) == (500, pcm(500, 1_500))


def test_a_frame_older_than_the_ring_is_ignored() -> None:
    ring = ring_with((2_000, 3_000), (0, 320))
    assert ring.read(Samples(0), Samples(3_000)) == (2_000, pcm(2_000, 3_000))


def test_nothing_is_read_from_beyond_the_end() -> None:
    assert ring_with((0, 320)).read(Samples(320), Samples(640)) == (320, b"")
    assert ring_with().read(Samples(0), Samples(640))[1] == b""


def test_after_a_gap_longer_than_the_ring_it_begins_anew() -> None:
    ring = ring_with((0, 320), (9_000, 9_320))
    assert ring.read(Samples(0), Samples(9_320)) == (9_000, pcm(9_000, 9_320))


@given(
    st.lists(st.tuples(st.integers(-600, 900), st.integers(1, 400)), max_size=40),
    st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)),
)
def test_the_ring_agrees_with_a_tape(steps: list[tuple[int, int]], wanted: tuple[int, int]) -> None:
    ring, tape, end, begin = AudioRing(Samples(1_000)), dict[int, int](), 0, 0
    for move, length in steps:
        position = max(0, end + move)
        if end == begin or position - end >= 1_000:
            tape, begin, end = {}, position, position
        oldest = max(begin, end - 1_000)
        ring.write(Samples(position), pcm(position, position + length))
        end = max(end, position + length)
        tape.update({i: i % 65_535 + 1 for i in range(max(position, oldest), position + length)})
        assert ring.end == end
        assert ring.first == max(begin, end - 1_000)
    first, sound = ring.read(Samples(min(wanted)), Samples(max(wanted)))
    assert len(sound) // 2 == max(0, min(max(wanted), end) - max(min(wanted), ring.first))
    for i in range(len(sound) // 2):
        assert int.from_bytes(sound[2 * i : 2 * i + 2], "little") == tape.get(first + i, 0)


# --- the queue -------------------------------------------------------------------------------------------------------
def test_the_newest_request_of_a_session_overtakes_its_older_one() -> None:
    queue = TranscriptionQueue()
    assert queue.add(ask(ANNE, 1), Millis(0)) is None
    overtaken = queue.add(ask(ANNE, 2), Millis(1))
    assert overtaken is not None
    assert overtaken.request == 1
    assert served_in_turn(queue) == [(ANNE, 2)]


def test_a_request_that_is_not_the_newest_is_overtaken_itself() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 5), Millis(0))
    late = ask(ANNE, 4)
    assert queue.add(late, Millis(1)) is late
    assert served_in_turn(queue) == [(ANNE, 5)]


def test_sessions_do_not_overtake_each_other() -> None:
    queue = TranscriptionQueue()
    assert queue.add(ask(ANNE, 1), Millis(0)) is None
    assert queue.add(ask(BERT, 2), Millis(1)) is None
    assert served_in_turn(queue) == [(ANNE, 1), (BERT, 2)]


def test_a_final_transcript_comes_before_a_partial_one() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1), Millis(0))
    queue.add(ask(BERT, 1, final=True), Millis(1))
    assert served_in_turn(queue) == [(BERT, 1), (ANNE, 1)]


def test_a_partial_that_has_waited_a_second_is_not_put_off_any_longer() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1), Millis(0))
    queue.add(ask(BERT, 1, final=True), Millis(1_000))
    assert served_in_turn(queue, now=1_000) == [(ANNE, 1), (BERT, 1)]


def test_who_asks_again_keeps_their_place() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1), Millis(0))
    queue.add(ask(BERT, 1), Millis(10))
    queue.add(ask(ANNE, 2), Millis(20))
    assert served_in_turn(queue) == [(ANNE, 2), (BERT, 1)]


def test_a_request_waits_for_sound_that_is_on_its_way() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1, end=640), Millis(0))
    assert queue.next(lambda _: Samples(320), Millis(10)) is None
    assert queue.deadline() == WAIT
    found = queue.next(lambda _: Samples(640), Millis(20))
    assert found is not None
    assert found.request == 1
    assert queue.deadline() is None


def test_a_request_does_not_wait_for_ever() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1, end=640), Millis(100))
    assert queue.next(nothing_held, Millis(99 + WAIT)) is None
    assert queue.next(nothing_held, Millis(100 + WAIT)) is not None


def test_a_request_that_waits_for_sound_holds_nobody_up() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1, final=True, end=10**6), Millis(0))
    queue.add(ask(BERT, 1), Millis(1))
    found = queue.next(lambda _: Samples(1_000), Millis(2))
    assert found is not None
    assert found.session == BERT


def test_a_session_that_ends_waits_for_nothing() -> None:
    queue = TranscriptionQueue()
    queue.add(ask(ANNE, 1), Millis(0))
    assert queue.forget(ANNE) == ask(ANNE, 1)
    assert queue.forget(ANNE) is None
    assert len(queue) == 0


asks = st.tuples(st.sampled_from([ANNE, BERT, CORA]), st.booleans(), st.integers(0, 300), st.booleans())


@given(st.lists(asks, max_size=60))
def test_every_request_has_one_outcome_and_the_newest_of_a_session_is_served(
    steps: list[tuple[SessionId, bool, int, bool]],
) -> None:
    queue, now, outcomes, newest = TranscriptionQueue(), 0, list[int](), dict[SessionId, int]()
    for number, (session, final, passed, take) in enumerate(steps):
        now += passed
        overtaken = queue.add(ask(session, number, final=final), Millis(now))
        newest[session] = number
        outcomes += [overtaken.request] if overtaken else []
        if take and (found := queue.next(all_held, Millis(now))) is not None:
            outcomes.append(found.request)
    outcomes += [number for _, number in served_in_turn(queue, now)]
    assert sorted(outcomes) == list(range(len(steps)))
    assert len(queue) == 0


@given(st.lists(asks, min_size=1, max_size=60))
def test_nobody_waits_behind_a_crowd_of_finals_for_ever(steps: list[tuple[SessionId, bool, int, bool]]) -> None:
    queue, now = TranscriptionQueue(), 0
    queue.add(ask(CORA, 0), Millis(0))
    for number, (_, _, passed, anne) in enumerate(steps, start=1):
        now += passed
        queue.add(ask(ANNE if anne else BERT, number, final=True), Millis(now))
        found = queue.next(all_held, Millis(now))
        assert found is not None
        if found.session == CORA:
            return
    assert now < 1_000
