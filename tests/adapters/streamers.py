"""Every adapter that speaks text while it comes, for `test_text_streamer_contract.py`, and what is heard of it."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from protocol.ports import Pcm, PiecePlace, SpokenStream, StreamedChunk, TextStreamer
from tests.adapters.synthesizers import Adapter, cosyvoice_folder, tiny
from tests.checkpoints.cosyvoice import write_pack
from tests.fakes.streamer import FakeStreamer


def _cosyvoice(mode: str) -> Any:
    def build(folder: Path) -> None:
        shutil.copytree(cosyvoice_folder(), folder)
        write_pack(folder, text_in="stream", mode=mode)

    return tiny("cosyvoice2", build)


def _cosyvoice_in(mode: str) -> Adapter:
    return Adapter(
        name=f"cosyvoice-{mode.replace('_', '-')}", make=_cosyvoice(mode), starts=20, heavy=True, tells_words=False
    )


STREAMERS: Final = (
    Adapter(name="fake", make=cache(FakeStreamer), is_model=False, pace="instant"),
    _cosyvoice_in("zero_shot"),
    _cosyvoice_in("cross_lingual"),
)
PIECES: Final = ("Well, that depends", "on what you want,", "because there are ways.", "Many of", "them.")
SENTENCE: Final = PIECES[:3]
_MOST_STEPS: Final = 2_000


def streamer(adapter: Adapter) -> TextStreamer:
    """Its model."""
    voice = adapter.make()
    assert isinstance(voice, TextStreamer)
    return voice


def begin(voice: TextStreamer, *pieces: str, last: bool = False, speed: float = 1.0) -> SpokenStream:
    """A stream with its first pieces."""
    stream = voice.stream(language="en", speed=speed)
    for piece in pieces:
        stream.add(piece)
    if last:
        stream.complete()
    return stream


def go_on(stream: SpokenStream) -> Iterator[StreamedChunk]:
    """As far as the text goes."""
    for _ in range(_MOST_STEPS):
        if not stream.has_work:
            return
        yield stream.step()
    raise AssertionError("the stream has work for ever")


@dataclass
class Heard:
    """What came out of a stream."""

    chunks: list[StreamedChunk] = field(default_factory=list)

    def take(self, chunks: Iterator[StreamedChunk]) -> "Heard":
        self.chunks += chunks
        return self

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([np.zeros(0, np.float32), *(chunk.pcm for chunk in self.chunks)])

    @property
    def places(self) -> list[PiecePlace]:
        return [place for chunk in self.chunks for place in chunk.places]

    @property
    def done(self) -> list[PiecePlace]:
        return [place for place in self.places if place.end is not None]


def heard_of(voice: TextStreamer, pieces: Sequence[str]) -> Heard:
    """All of a text that is there from the beginning."""
    stream = begin(voice, *pieces, last=True)
    heard = Heard().take(go_on(stream))
    assert stream.finished
    return heard


@cache
def expected(adapter: Adapter, pieces: tuple[str, ...] = PIECES) -> Heard:
    """The same, once for all tests."""
    return heard_of(streamer(adapter), pieces)
