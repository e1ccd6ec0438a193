"""Voice activity of many sessions: a facade on the loop, one actor thread that computes.

Windows don't travel in Pykka's inbox, which has no bound: they wait in a bounded line per session, and the inbox only
says that some wait. All sessions that have one are judged in one inference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import numpy as np
import pykka
import structlog

from actors import metrics
from actors.mailbox import Mailbox
from actors.policies.voice_activity import WINDOW, VoiceActivity
from actors.policies.windowing import Windowing
from protocol.hearing import VadEvent
from protocol.ids import Millis, Samples, SessionId
from protocol.ports import Pcm, VoiceActivityModel, VoiceActivityStream

OnVadEvent = Callable[[VadEvent], None]
OnVadFailed = Callable[[str], None]

_MAX_BATCH: Final = 16
"""Sessions in one inference: beyond that a window gets no cheaper, and all of them would wait longer."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Line:
    """What the loop and the thread share of a session. Only the loop sets `open` and calls back."""

    session: SessionId
    on_event: OnVadEvent
    on_failed: OnVadFailed
    windows: Windowing = field(default_factory=lambda: Windowing(WINDOW))
    open: bool = True

    def deliver(self, event: VadEvent) -> None:
        """On the loop: nothing reaches a session after it was closed."""
        if self.open:
            self.on_event(event)

    def give_up(self, reason: str) -> None:
        """On the loop: the last that is heard of this line."""
        if self.open:
            self.open = False
            self.on_failed(reason)


@dataclass(frozen=True, slots=True)
class _Open:
    line: _Line
    activity: VoiceActivity


@dataclass(frozen=True, slots=True)
class _Close:
    line: _Line


@dataclass(frozen=True, slots=True)
class _Look:
    """Some windows wait."""


@dataclass(slots=True)
class _Watched:
    line: _Line
    activity: VoiceActivity
    stream: VoiceActivityStream


class _Bell:
    """Tells the actor once that windows wait, however many come before it looks."""

    def __init__(self) -> None:
        self._rung = False
        self.actor: pykka.ActorRef[VadActor] | None = None

    def ring(self) -> None:
        """After a window was put in line. From both threads."""
        if not self._rung and self.actor is not None:
            self._rung = True
            self.actor.tell(_Look())

    def hush(self) -> None:
        """Before the actor looks: what is put in line from now on rings again."""
        self._rung = False


class VadActor(pykka.ThreadingActor):
    """One inference per inbox turn, over the next window of each session that has one. Runs on its own thread."""

    use_daemon_thread = True

    def __init__(self, model: VoiceActivityModel, mailbox: Mailbox, bell: _Bell) -> None:
        super().__init__()
        self._model = model
        self._mailbox = mailbox
        self._bell = bell
        self._watched: dict[_Line, _Watched] = {}

    def on_receive(self, message: _Open | _Close | _Look) -> None:
        """On the actor's thread. What a model raises ends that session's stream, never the actor."""
        match message:
            case _Open(line=line, activity=activity):
                self._open(line, activity)
            case _Close(line=line):
                self._watched.pop(line, None)
            case _Look():
                self._bell.hush()
                self._look()
            case _:
                assert_never(message)

    def _open(self, line: _Line, activity: VoiceActivity) -> None:
        try:
            self._watched[line] = _Watched(line, activity, self._model.open_stream())
        except Exception as error:  # noqa: BLE001  # models raise what they like; it is logged and reported
            self._fail(line, error)

    def _look(self) -> None:
        ready: list[_Watched] = []
        taken: list[tuple[Samples, bytes]] = []
        for watched in self._watched.values():
            if len(ready) < _MAX_BATCH and (window := watched.line.windows.take()) is not None:
                ready.append(watched)
                taken.append(window)
        windows = [np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(32768) for _, pcm in taken]
        self._judge(ready, [position for position, _ in taken], windows)
        for watched in ready:  # those served go to the end: all take turns
            if self._watched.pop(watched.line, None) is not None:
                self._watched[watched.line] = watched
        if any(len(watched.line.windows) for watched in self._watched.values()):
            self._bell.ring()

    def _judge(self, ready: Sequence[_Watched], positions: Sequence[Samples], windows: Sequence[Pcm]) -> None:
        if not ready:
            return
        metrics.VAD_WINDOWS.observe(len(ready))
        try:
            found = self._model.probabilities([watched.stream for watched in ready], windows)
        except Exception as error:  # noqa: BLE001  # models raise what they like; it is logged and reported
            if len(ready) == 1:
                self._watched.pop(ready[0].line, None)
                self._fail(ready[0].line, error)
                return
            for watched, position, window in zip(ready, positions, windows, strict=True):
                self._judge([watched], [position], [window])  # one by one: only the guilty ends
            return
        for watched, position, probability in zip(ready, positions, found, strict=True):
            for event in watched.activity.feed(position, probability):
                self._mailbox.post(watched.line.deliver, event)
            if watched.activity.at_rest:
                watched.line.windows.rest(position)

    def _fail(self, line: _Line, error: Exception) -> None:
        metrics.VAD_FAILURES.inc()
        log.error("voice activity failed", session=line.session, error=repr(error))
        self._mailbox.post(line.give_up, f"{type(error).__name__}: {error}")


def _ignore(_reason: str) -> None:
    """The actor has logged it."""


class Detector:
    """Voice activity, as a session sees it. On the loop; its call-backs come on the loop too."""

    def __init__(self, model: VoiceActivityModel, mailbox: Mailbox) -> None:
        self._lines: dict[SessionId, _Line] = {}
        self._bell = _Bell()
        self._actor: pykka.ActorRef[VadActor] = VadActor.start(model, mailbox, self._bell)
        self._bell.actor = self._actor

    def open(
        self,
        session: SessionId,
        *,
        on_event: OnVadEvent,
        on_failed: OnVadFailed = _ignore,
        threshold: float = 0.5,
        start_windows: int = 2,
        stop_ms: Millis = Millis(200),
    ) -> None:
        """Listen to a session from now on; one that is open begins anew.

        When its stream fails, `on_failed` is called once with the reason and nothing follows.
        """
        self.close(session)
        activity = VoiceActivity(session, threshold=threshold, start_windows=start_windows, stop_ms=stop_ms)
        line = self._lines[session] = _Line(session, on_event, on_failed)
        self._actor.tell(_Open(line, activity))

    def hear(self, session: SessionId, position: Samples, pcm: bytes) -> None:
        """The next sound of a session (s16le, 16 kHz); ignored when it is not open. Never waits."""
        line = self._lines.get(session)
        if line is not None and line.windows.add(position, pcm):
            self._bell.ring()

    def dropped(self, session: SessionId) -> int:
        """How many windows of a session were never judged, because the thread was behind."""
        line = self._lines.get(session)
        return line.windows.dropped if line is not None else 0

    def close(self, session: SessionId) -> None:
        """Forget a session: no call-back comes after this."""
        line = self._lines.pop(session, None)
        if line is not None:
            line.open = False
            metrics.VAD_DROPPED.inc(line.windows.dropped)
            self._actor.tell(_Close(line))

    def stop(self) -> None:
        """End the thread, after the inference that is under way (a millisecond)."""
        for session in list(self._lines):
            self.close(session)
        self._bell.actor = None
        self._actor.stop(block=False)
