"""How a session's sound flows, on `audio.meta.*`: once a second, for those who may not hear it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from protocol.ids import MillisField, SessionField, TurnField
from protocol.message import Message

_Frames = Annotated[int, Field(ge=0)]
_Milliseconds = Annotated[float, Field(ge=0.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneMeasures:
    """What came from the client's microphone.

    Attributes:
        frames: of 20 ms that were taken; `dropped` came faster than time.
        jitter_ms: of their arrival, as RFC 3550 estimates it; `worst_ms` is the largest deviation from 20 ms.
    """

    frames: _Frames
    dropped: _Frames
    jitter_ms: _Milliseconds
    worst_ms: _Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechMeasures:
    """What came from the worker, and went to the client.

    Attributes:
        turn: the one that sounded last.
        arrived: frames that the gate took; `dropped` it did not want: of another turn or worker, or sent before.
        played: frames that were handed to the client's transport.
        jitter_ms: of the paced frames' arrival, as RFC 3550 estimates it; `worst_ms` is the largest deviation.
        queued_ms: what waits in the gate.
        underruns: times that the turn fell silent because its next frame was late; `silent` counts the pulls in vain.
    """

    turn: TurnField
    arrived: _Frames
    dropped: _Frames
    played: _Frames
    jitter_ms: _Milliseconds
    worst_ms: _Milliseconds
    queued_ms: MillisField
    underruns: _Frames
    silent: _Frames


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayMeasures(Message):
    """The sound of the last `over_ms`, as it passed the gateway; what did not flow is null."""

    session: SessionField
    over_ms: MillisField
    microphone: MicrophoneMeasures | None = None
    speech: SpeechMeasures | None = None
    type: Literal["gateway_measures"] = "gateway_measures"


@dataclass(frozen=True, slots=True, kw_only=True)
class TtsMeasures(Message):
    """The speech of the last `over_ms`, as it left the worker.

    Attributes:
        turn: the one that was spoken last.
        sent: frames that left; `again` is how many of them had left before.
        ahead_ms: how far the last one was ahead of what the client had played.
        underruns: times that nothing was ready although less than half of the usual lead was left.
    """

    session: SessionField
    over_ms: MillisField
    turn: TurnField
    sent: _Frames
    again: _Frames
    ahead_ms: MillisField
    underruns: _Frames
    type: Literal["tts_measures"] = "tts_measures"
