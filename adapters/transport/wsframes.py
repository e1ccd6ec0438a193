"""WebSocket messages from a server, as bytes (RFC 6455, section 5.2): whole, unmasked, uncompressed.

aiohttp's own writer is a coroutine that may wait; speech leaves from a timer for all connections at once, which must
not wait for any of them. Only text and binary messages are written this way: the handshake, pings and the closing
handshake stay with aiohttp, on the same transport.
"""

import struct
from typing import Final

_FINAL_TEXT: Final = 0x81
_FINAL_BINARY: Final = 0x82


def _message(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:  # noqa: PLR2004  # the two special lengths of the RFC
        return bytes((first, size)) + payload
    if size < 65_536:  # noqa: PLR2004
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def text(payload: bytes) -> bytes:
    """A text message; `payload` is UTF-8."""
    return _message(_FINAL_TEXT, payload)


def binary(payload: bytes) -> bytes:
    """A binary message."""
    return _message(_FINAL_BINARY, payload)
