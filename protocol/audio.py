"""Audio on the wire: a 32-byte header, then mono s16le PCM, 20 ms a frame."""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from protocol.errors import MalformedMessage
from protocol.ids import Samples, TurnId, UnixMicros

MIC_RATE: Final = 16_000
SPEECH_RATE: Final = 48_000
FRAME_MS: Final = 20
MIC_FRAME: Final = Samples(MIC_RATE * FRAME_MS // 1000)
SPEECH_FRAME: Final = Samples(SPEECH_RATE * FRAME_MS // 1000)

MAGIC: Final = b"AFv1"


class HeaderField(NamedTuple):
    """One field of the header; `code` is that of `struct`."""

    name: str
    code: str
    what: str


HEADER: Final = (
    HeaderField("magic", "4s", "`AFv1`"),
    HeaderField("kind", "B", "0 microphone, 1 speech"),
    HeaderField("flags", "B", "1 first of the turn, 2 last of the turn, 4 comfort: sound that belongs to no text"),
    HeaderField("header length", "H", "32"),
    HeaderField("turn", "I", "0 for the microphone"),
    HeaderField("sequence", "I", "counts frames of the turn (microphone: of the session); wraps"),
    HeaderField("position", "Q", "of the first sample within the turn (microphone: within the session)"),
    HeaderField("time", "Q", "of capture or synthesis, microseconds since the epoch"),
)
"""In this order, in network byte order."""
_HEADER: Final = struct.Struct("!" + "".join(field.code for field in HEADER))
HEADER_BYTES: Final = _HEADER.size


class Kind(IntEnum):
    """Who speaks in a frame."""

    MICROPHONE = 0
    SPEECH = 1


class Flags(IntFlag):
    """`COMFORT` marks sound that belongs to no text (a fade at a cut): it is never counted as played."""

    NONE = 0
    FIRST = 1
    LAST = 2
    COMFORT = 4


SAMPLES_OF_KIND: Final = {Kind.MICROPHONE: MIC_FRAME, Kind.SPEECH: SPEECH_FRAME}
_ALL_FLAGS: Final = int(Flags.FIRST | Flags.LAST | Flags.COMFORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """20 ms of sound.

    Attributes:
        turn: the reply it belongs to; 0 for the microphone.
        sequence: counts frames within the turn (microphone: within the session).
        position: first sample within the turn (microphone: within the session), at the frame's rate.
        captured_at: when it was captured (speech: when it left the worker).
        pcm: mono s16le; 320 samples at 16 kHz (microphone) or 960 at 48 kHz (speech). The last frame
            of a turn is filled up with silence.
    """

    kind: Kind
    turn: TurnId
    sequence: int
    position: Samples
    captured_at: UnixMicros
    pcm: bytes
    flags: Flags = Flags.NONE

    @property
    def samples(self) -> Samples:
        """Its length."""
        return Samples(len(self.pcm) // 2)

    @property
    def end(self) -> Samples:
        """The position of the first sample after it."""
        return Samples(self.position + len(self.pcm) // 2)


def header_spans() -> list[tuple[HeaderField, int, int]]:
    """Each field of the header with its first and its last byte."""
    ends = [struct.calcsize("!" + "".join(field.code for field in HEADER[: n + 1])) for n in range(len(HEADER))]
    return [(field, first, end - 1) for field, first, end in zip(HEADER, [0, *ends], ends, strict=False)]


def pack(frame: Frame) -> bytes:
    """The frame as it travels."""
    header = _HEADER.pack(
        MAGIC,
        frame.kind,
        frame.flags,
        HEADER_BYTES,
        frame.turn,
        frame.sequence & 0xFFFFFFFF,
        frame.position,
        frame.captured_at,
    )
    return header + frame.pcm


def unpack(data: bytes) -> Frame:
    """The frame in `data`.

    Raises:
        MalformedMessage: for anything that `pack` could not have made.
    """
    if len(data) < HEADER_BYTES:
        raise MalformedMessage(f"a frame of {len(data)} bytes is shorter than its header")
    magic, kind, flags, header, turn, sequence, position, captured_at = _HEADER.unpack_from(data)
    if magic != MAGIC or header != HEADER_BYTES:
        raise MalformedMessage("not an AFv1 frame")
    if kind not in SAMPLES_OF_KIND:
        raise MalformedMessage(f"unknown kind of frame: {kind}")
    if flags & ~_ALL_FLAGS:
        raise MalformedMessage(f"unknown flags: {flags:#x}")
    wanted = 2 * SAMPLES_OF_KIND[Kind(kind)]
    if len(data) - HEADER_BYTES != wanted:
        raise MalformedMessage(f"{len(data) - HEADER_BYTES} bytes of PCM where {wanted} belong")
    return Frame(
        kind=Kind(kind),
        turn=TurnId(turn),
        sequence=sequence,
        position=Samples(position),
        captured_at=UnixMicros(captured_at),
        pcm=data[HEADER_BYTES:],
        flags=Flags(flags),
    )
