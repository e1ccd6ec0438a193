"""A recording as bytes: a line of JSON, then its samples."""

from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.errors import MalformedMessage
from protocol.ports import Reference

_FULL_SCALE: Final = 32_767.0


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Annotated[int, Field(ge=1, le=1)] = 1
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)]
    text: Annotated[str, Field(max_length=1_000)]


def pack(reference: Reference) -> bytes:
    """Samples are s16le."""
    header = _Header(sample_rate=reference.sample_rate, text=reference.text).model_dump_json()
    samples = np.rint(np.clip(reference.pcm, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
    return b"\n".join((header.encode(), samples.tobytes()))


def unpack(data: bytes) -> Reference:
    """The reverse.

    Raises:
        MalformedMessage: it was not packed by `pack`.
    """
    head, newline, samples = data.partition(b"\n")
    try:
        header = _Header.model_validate_json(head)
    except ValidationError as error:
        raise MalformedMessage("no recording of ours") from error
    if not newline or not samples or len(samples) % 2:
        raise MalformedMessage("a recording without its sound")
    pcm = np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
    return Reference(pcm=pcm, sample_rate=header.sample_rate, text=header.text)
