"""Watching live sessions on the bus, as an observer: subscribes and never publishes. Runs on the loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from protocol.audio import Flags, Frame
from protocol.conversation import SessionClosed
from protocol.errors import BusUnavailable
from protocol.ids import Samples, SessionId, TurnId, WorkerName
from protocol.message import Message
from protocol.ports import Bus, Respond
from protocol.subjects import ANY_SESSION, Subject, mic_frames, parse, session_control, session_meta, tts_frames

_SUMMARY_S: Final = 1.0
_CLOSED_S: Final = 0.5
"""After the end of a session its workers still say that they have let go of it."""
_FULL_SCALE: Final = 32_768
_FRAMES_WAITING: Final = 512
"""An observer may lag behind for a while; it is dropped frames that would make a recording wrong."""


@dataclass(slots=True, kw_only=True)
class FrameSummary:
    """What passed on one subject of frames in about a second."""

    session: SessionId
    worker: WorkerName | None
    turn: TurnId
    first: Samples
    end: Samples
    frames: int = 0
    missing: int = 0
    repeated: int = 0
    comfort: int = 0
    peak: int = 0
    last: bool = False

    @property
    def peak_dbfs(self) -> float:
        """Of the loudest sample; -120 for silence."""
        return float(20 * np.log10(max(self.peak, 1e-6 * _FULL_SCALE) / _FULL_SCALE))

    def add(self, frame: Frame) -> None:
        """One more."""
        self.frames += 1
        self.comfort += Flags.COMFORT in frame.flags
        self.last = self.last or Flags.LAST in frame.flags
        self.missing += max(0, frame.position - self.end)
        self.repeated += frame.position < self.end
        self.end = max(self.end, frame.end)
        self.peak = max(self.peak, int(np.abs(np.frombuffer(frame.pcm, "<i2").astype(np.int32)).max()))


@dataclass(slots=True, kw_only=True)
class Shown:
    """Where what is seen goes to: one call-back for each kind."""

    message: Callable[[Subject, Message], None]
    summary: Callable[[FrameSummary], None]
    speech: Callable[[SessionId, Frame], None] | None = None
    listening: Callable[[str], None] = field(default=lambda _: None)


class Tap:
    """Tells of each message at once, and of frames once a second and at the end of a turn."""

    def __init__(self, bus: Bus, session: SessionId | None, shown: Shown) -> None:
        """`session` None watches all of them."""
        self._bus = bus
        self._session = session
        self._shown = shown
        self._summaries: dict[Subject, FrameSummary] = {}
        self._ends: dict[Subject, tuple[TurnId, Samples]] = {}
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Until the session is closed; for ever when all are watched.

        Raises:
            BusUnavailable: not even messages may be read here.
        """
        watched = self._session or ANY_SESSION
        await self._bus.subscribe(session_control(watched), self._on_message)
        missed = "" if await self._may_read_measures(watched) else ", nor read how sound flows"
        try:
            for pattern in (mic_frames(watched), tts_frames(watched)):
                await self._bus.subscribe_frames(pattern, self._on_frame, depth=_FRAMES_WAITING)
        except BusUnavailable:
            self._shown.listening(f"messages only: this user may not hear frames{missed}")
        else:
            self._shown.listening("messages and frames")
        while not self._closed.is_set():
            await asyncio.sleep(_SUMMARY_S)
            self._summarize()

    async def _may_read_measures(self, watched: SessionId) -> bool:
        """False for an observer whose rights are older than they are: there is enough to see without them."""
        try:
            await self._bus.subscribe(session_meta(watched), self._on_message)
        except BusUnavailable:
            return False
        return True

    def _on_message(self, subject: Subject, message: Message, _respond: Respond | None) -> None:
        self._shown.message(subject, message)
        if isinstance(message, SessionClosed) and self._session is not None:
            asyncio.get_running_loop().call_later(_CLOSED_S, self._closed.set)

    def _on_frame(self, subject: Subject, frame: Frame) -> None:
        summary = self._summaries.get(subject)
        if summary is not None and summary.turn != frame.turn:
            self._tell(subject)
            summary = None
        if summary is None:
            summary = self._summaries[subject] = self._begin(subject, frame)
        summary.add(frame)
        self._ends[subject] = (frame.turn, summary.end)
        address = parse(subject)
        if address.worker is not None and address.session is not None and self._shown.speech is not None:
            self._shown.speech(address.session, frame)
        if summary.last:
            self._tell(subject)

    def _begin(self, subject: Subject, frame: Frame) -> FrameSummary:
        """What is missing is counted from where we were, or from here if we have just come."""
        address = parse(subject)
        turn, end = self._ends.get(subject, (frame.turn, frame.position))
        return FrameSummary(
            session=address.session or ANY_SESSION,
            worker=address.worker,
            turn=frame.turn,
            first=frame.position,
            end=end if turn == frame.turn else frame.position,
        )

    def _tell(self, subject: Subject) -> None:
        self._shown.summary(self._summaries.pop(subject))

    def _summarize(self) -> None:
        for subject in list(self._summaries):
            self._tell(subject)
