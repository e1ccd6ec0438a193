"""Puts the microphone's RTP packets in order without making any of them wait that need not. Pure.

A jitter buffer for a loudspeaker delays everything so that it can play steadily. An ear has no such need: a packet in
order is heard at once, and only behind a missing one do packets wait, for `PATIENCE` packets at most.
"""

from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 3
"""Packets (60 ms) that may come after a missing one until it is given up."""
_RESTART: Final = 500
"""A jump of the sequence number by this much (10 s) is a new stream."""


@dataclass(frozen=True, slots=True)
class MicPacket:
    """An Opus packet; `timestamp` counts at 48 kHz, modulo 2^32."""

    sequence: int
    timestamp: int
    payload: bytes


class RtpOrder:
    """Packets in, packets in order out; late ones and duplicates are dropped."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, MicPacket] = {}
        self.late = 0
        """Packets that came after they were given up, or twice."""

    def put(self, packet: MicPacket) -> list[MicPacket]:
        """Those that can be heard now."""
        if self._next is None:
            self._next = packet.sequence
        ahead = _signed(packet.sequence - self._next)
        if abs(ahead) > _RESTART:
            self._waiting.clear()
            self._next = packet.sequence
        elif ahead < 0:
            self.late += 1
            return []
        self._waiting[packet.sequence] = packet
        ready = self._take()
        if len(self._waiting) >= PATIENCE:
            self._next = min(self._waiting, key=self._distance)
            ready += self._take()
        return ready

    def _take(self) -> list[MicPacket]:
        ready = []
        while self._next is not None and (packet := self._waiting.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return ready

    def _distance(self, sequence: int) -> int:
        return _signed(sequence - (self._next or 0))


def _signed(difference: int) -> int:
    """A difference of two 16-bit counters, as the shorter way round."""
    return (difference + 0x8000 & 0xFFFF) - 0x8000
