"""What a session's recognizer gets of its microphone: each frame once and in order, now or as soon as it can."""

import asyncio
from typing import Final

import structlog

from actors import metrics
from actors.policies.kept_sound import KeptSound
from protocol.audio import Frame
from protocol.ids import SessionId
from protocol.ports import Bus
from protocol.subjects import mic_frames

PIECE: Final = 16
"""Frames in one round of the loop while more wait: 0.3 ms of computing, and 11 kB, less than a bus that is not behind
has waiting (`adapters/bus/sender.py`)."""
_RETRY_S: Final = 0.02
_SETTLE_S: Final = 0.3
"""After an outage of the bus its other users take up to a quarter of a second to subscribe anew."""
log = structlog.get_logger()


class Feed:
    """On the loop. Live, until it is told to hold back; frames that the bus does not take follow when it does."""

    def __init__(self, *, session: SessionId, bus: Bus) -> None:
        self._session = session
        self._subject = mic_frames(session)
        self._bus = bus
        self._kept = KeptSound()
        self._held = False
        self._catching_up: asyncio.Task[None] | None = None

    @property
    def frames_kept(self) -> int:
        """For a recognizer that comes later."""
        return len(self._kept)

    def send(self, frame: Frame) -> None:
        """The next one; its position is higher than that of all before it."""
        lost = self._kept.keep(frame)
        if lost:
            metrics.FRAMES_DROPPED.labels("bus").inc(lost)
        if not self._held and self._catching_up is None and not self._send_some(PIECE):
            self._catch_up()

    def hold(self) -> None:
        """Send nothing from now on: nobody listens."""
        self._held = True
        self._stop_catching_up()

    def resume(self) -> None:
        """Go on where `hold` began."""
        self._held = False
        self._catch_up()

    async def replay(self) -> None:
        """Send again all that is kept, then go on; returns when that is done, or given up by `hold` or `close`."""
        self._stop_catching_up()
        self._kept.rewind()
        self.resume()
        if self._catching_up is not None:
            await asyncio.wait({self._catching_up})

    def close(self) -> None:
        """Send nothing more, and keep nothing of what was said: the session may wait long to be collected."""
        self.hold()
        self._kept = KeptSound()

    def _catch_up(self) -> None:
        if self._catching_up is None and self._kept.next is not None:
            task = self._catching_up = asyncio.get_running_loop().create_task(self._send_what_waits())
            task.add_done_callback(self._caught_up)

    def _stop_catching_up(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
            self._catching_up = None

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("microphone not sent", session=self._session, exc_info=error)

    async def _send_what_waits(self) -> None:
        """Ends in the very round of the loop in which nothing waits any more: what comes then goes directly."""
        outage = False
        while self._kept.next is not None:
            if outage and self._bus.is_connected:
                outage = False
                await asyncio.sleep(_SETTLE_S)
                self._kept.rewind()  # what was on its way when the bus went is lost, and nobody knows how much it was
            if not self._send_some(PIECE):
                outage = outage or not self._bus.is_connected
                await asyncio.sleep(_RETRY_S)
            elif self._kept.next is not None:
                await asyncio.sleep(0)
        self._catching_up = None

    def _send_some(self, count: int) -> bool:
        """False when the bus does not take them now."""
        for _ in range(count):
            frame = self._kept.next
            if frame is None:
                return True
            if not self._bus.publish_frame(self._subject, frame):
                return False
            self._kept.note_sent()
        return True
