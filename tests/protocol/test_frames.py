import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audio import HEADER_BYTES, MIC_FRAME, SPEECH_FRAME, Flags, Frame, Kind, pack, unpack
from protocol.errors import MalformedMessage
from protocol.ids import Samples, TurnId, UnixMicros

_SAMPLES = {Kind.MICROPHONE: MIC_FRAME, Kind.SPEECH: SPEECH_FRAME}


def frames() -> st.SearchStrategy[Frame]:
    return st.sampled_from(Kind).flatmap(
        lambda kind: st.builds(
            Frame,
            kind=st.just(kind),
            turn=st.integers(0, 2**32 - 1).map(TurnId),
            sequence=st.integers(0, 2**32 - 1),
            position=st.integers(0, 2**64 - 1).map(Samples),
            captured_at=st.integers(0, 2**64 - 1).map(UnixMicros),
            pcm=st.binary(min_size=8, max_size=8).map(lambda some: some * (2 * _SAMPLES[kind] // 8)),
            flags=st.integers(0, 7).map(Flags),
        )
    )


SPEECH = Frame(
    kind=Kind.SPEECH,
    turn=TurnId(7),
    sequence=3,
    position=Samples(2_880),
    captured_at=UnixMicros(1_700_000_000_000_000),
    pcm=bytes(2 * SPEECH_FRAME),
    flags=Flags.FIRST | Flags.COMFORT,
)


@given(frames())
def test_what_is_sent_is_what_arrives(frame: Frame) -> None:
    assert unpack(pack(frame)) == frame


@given(st.binary(max_size=4_000))
def test_no_bytes_raise_anything_but_malformed_message(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unpack(data)


@given(frames(), st.data())
def test_a_frame_with_any_byte_spoilt_is_refused_or_whole(frame: Frame, data: st.DataObject) -> None:
    spoilt = bytearray(pack(frame))
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrived = unpack(bytes(spoilt))
    except MalformedMessage:
        return
    assert pack(arrived) == spoilt


@given(frames(), st.integers(0, 3_000))
def test_a_frame_that_was_cut_off_is_refused(frame: Frame, length: int) -> None:
    whole = pack(frame)
    with pytest.raises(MalformedMessage):
        unpack(whole[: min(length, len(whole) - 1)])


def test_the_header_is_as_documented() -> None:
    data = pack(SPEECH)
    assert HEADER_BYTES == 32
    assert data[:4] == b"AFv1"
    assert data[4:8] == bytes([1, 5, 0, 32])
    assert data[8:12] == (7).to_bytes(4, "big")
    assert data[12:16] == (3).to_bytes(4, "big")
    assert data[16:24] == (2_880).to_bytes(8, "big")
    assert data[24:32] == (1_700_000_000_000_000).to_bytes(8, "big")
    assert len(data) == 32 + 1_920


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (0, ord("B"), "AFv1"),
        (4, 2, "unknown kind"),
        (4, 0, "bytes of PCM"),
        (5, 8, "unknown flags"),
        (7, 40, "AFv1"),
    ],
)
def test_each_field_of_the_header_is_checked(place: int, value: int, complaint: str) -> None:
    data = bytearray(pack(SPEECH))
    data[place] = value
    with pytest.raises(MalformedMessage, match=complaint):
        unpack(bytes(data))


def test_a_frame_of_another_rate_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="960 bytes of PCM where 1920 belong"):
        unpack(pack(SPEECH)[: 32 + 960])


def test_a_frame_knows_where_the_next_one_begins() -> None:
    assert (SPEECH.samples, SPEECH.end) == (960, 3_840)


def test_the_sequence_number_wraps_and_the_position_does_not() -> None:
    frame = Frame(
        kind=Kind.SPEECH,
        turn=TurnId(1),
        sequence=2**32 + 5,
        position=Samples(2**40),
        captured_at=UnixMicros(0),
        pcm=bytes(2 * SPEECH_FRAME),
    )
    assert (unpack(pack(frame)).sequence, unpack(pack(frame)).position) == (5, 2**40)
