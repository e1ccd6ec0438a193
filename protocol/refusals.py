"""How a request is refused: the same JSON from everybody, so that who decodes it cannot tell whose it is."""

from protocol.conversation import CommandRefused
from protocol.speaking import SpeakingRefused
from protocol.workers import WorkerRefused

Refusal = CommandRefused | SpeakingRefused | WorkerRefused
"""With a `code` for programs and a `reason` for people."""
