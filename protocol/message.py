"""What every control message carries."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from protocol.ids import MicrosField, UnixMicros

Text = Annotated[str, Field(max_length=16_000)]
"""Words of a person or a model, bounded so that no message outgrows the server's payload limit."""
Reason = Annotated[str, Field(max_length=1_000)]
Code = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The common part; `sent_at` is stamped by the bus when the message leaves.

    Unknown fields are ignored, so that hosts of two versions can speak with each other;
    known ones are validated strictly.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False)

    sent_at: MicrosField = UnixMicros(0)
    trace: Annotated[str, Field(max_length=128)] | None = None
