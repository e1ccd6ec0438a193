"""Speech frames whose every sample is known."""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.ids import Samples, TurnId, UnixMicros

ONE: Final = TurnId(1)
TWO: Final = TurnId(2)
LOUD: Final = 10_000


def a_frame(
    index: int, *, turn: TurnId = ONE, position: Samples | None = None, flags: Flags = Flags.NONE, amplitude: int = LOUD
) -> Frame:
    """The turn's frame number `index`: all its samples are `amplitude`."""
    return Frame(
        kind=Kind.SPEECH,
        turn=turn,
        sequence=index,
        position=Samples(index * SPEECH_FRAME) if position is None else position,
        captured_at=UnixMicros(1),
        pcm=np.full(SPEECH_FRAME, amplitude, np.int16).tobytes(),
        flags=flags | (Flags.FIRST if index == 0 else Flags.NONE),
    )


def frames(count: int, *, turn: TurnId = ONE, of: int | None = None) -> list[Frame]:
    """The first `count` frames of a turn that has `of` (default: just these)."""
    last = (count if of is None else of) - 1
    return [a_frame(i, turn=turn, flags=Flags.LAST if i == last else Flags.NONE) for i in range(count)]


def level(frame: Frame, sample: int) -> int:
    """One sample of a frame."""
    return int(np.frombuffer(frame.pcm, np.int16)[sample])


def frames_of(samples: npt.NDArray[np.int16], *, turn: TurnId = ONE) -> list[Frame]:
    """These samples as a whole turn, filled up with silence."""
    padded = np.concatenate([samples, np.zeros(-len(samples) % SPEECH_FRAME, np.int16)])
    pieces = padded.reshape(-1, SPEECH_FRAME)
    return [replace(frame, pcm=p.tobytes()) for frame, p in zip(frames(len(pieces), turn=turn), pieces, strict=True)]
