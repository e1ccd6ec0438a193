"""Names and units: what a bare `str` or `int` would leave open is said by its type."""

from typing import Annotated, Final, NewType

from pydantic import Field, StringConstraints

TOKEN_PATTERN: Final = r"^[a-z0-9-]{1,64}$"
"""An id is one whole token of a NATS subject: no dots, no wildcards, no blanks."""

MAX_POSITION: Final = 2**63 - 1
MAX_TURN: Final = 2**32 - 1

SessionId = NewType("SessionId", str)
WorkerName = NewType("WorkerName", str)
ModelId = NewType("ModelId", str)
TurnId = NewType("TurnId", int)
"""One reply of ours, numbered from 1 in each session; 0 stands for "no turn"."""
Samples = NewType("Samples", int)
"""A position or a length in samples, at the rate of the stream it speaks of."""
Millis = NewType("Millis", int)
UnixMicros = NewType("UnixMicros", int)

_TOKEN = StringConstraints(pattern=TOKEN_PATTERN)

# What a message's field is declared as: the type above, and the check at the border.
SessionField = Annotated[SessionId, _TOKEN]
WorkerField = Annotated[WorkerName, _TOKEN]
ModelField = Annotated[ModelId, _TOKEN]
TurnField = Annotated[TurnId, Field(ge=0, le=MAX_TURN)]
PositionField = Annotated[Samples, Field(ge=0, le=MAX_POSITION)]
MicrosField = Annotated[UnixMicros, Field(ge=0, le=MAX_POSITION)]
MillisField = Annotated[Millis, Field(ge=0, le=86_400_000)]
