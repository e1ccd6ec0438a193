"""The sessions of a TTS worker: opened, found, forgotten. On the loop."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from actors.models import ModelManager
from actors.tts_recordings import Recordings
from actors.tts_session import SpeakingSession
from actors.tts_turn import Surroundings
from protocol.conversation import Playout
from protocol.errors import Refused
from protocol.ids import ModelId, SessionId
from protocol.message import Message
from protocol.ports import ReferenceStore, Respond, Subscription
from protocol.speaking import Resume, SpeakingFailed, SpeakingReady, SpeakingRefused, StartSpeaking, TextChunk
from protocol.subjects import session_playout, tts_event

log = structlog.get_logger()


DRAIN_MOVE_S: Final = 5.0
"""How long a session that says nothing has to go to another worker, when this one is about to end."""
DRAIN_LIMIT_S: Final = 60.0
"""Longer turns are spoken on by another worker: for it the end is a death like any other."""


class SpeakingSessions:
    """Up to a capacity; each has its own subscription to the gateway's reports of playout.

    Args:
        on_changed: called when there is one more, or one less: perhaps the last one that a drained worker waits for.
    """

    def __init__(
        self,
        models: ModelManager,
        around: Surroundings,
        *,
        capacity: int,
        references: ReferenceStore | None = None,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._models = models
        self._recordings = Recordings(references)
        self._around = around
        self._capacity = capacity
        self._sessions: dict[SessionId, SpeakingSession] = {}
        self._reports: dict[SessionId, Subscription] = {}
        self._opening: dict[SessionId, asyncio.Task[None]] = {}
        self._on_changed = on_changed
        self._draining_since: float | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[SpeakingSession]:
        return iter(tuple(self._sessions.values()))

    def get(self, session: SessionId) -> SpeakingSession | None:
        """The session, if it holds a voice here."""
        return self._sessions.get(session)

    @property
    def unspoken_pieces(self) -> int:
        """Pieces of text, of all sessions, that are not synthesised yet."""
        return sum(session.unspoken_pieces for session in self)

    def drain(self) -> None:
        """Take no new sessions; those that are here go elsewhere between two turns."""
        if self._draining_since is None:
            self._draining_since = self._around.clock()
            log.info("draining", worker=self._around.worker, sessions=len(self))

    @property
    def draining(self) -> bool:
        """Whether no new sessions are taken."""
        return self._draining_since is not None

    @property
    def is_drained(self) -> bool:
        """Whether nobody is left, or nobody who speaks and could have gone elsewhere, or the time is up."""
        if self._draining_since is None:
            return False
        if not self._sessions and not self._opening:
            return True
        waited_s = self._around.clock() - self._draining_since
        is_silent = not any(session.is_speaking for session in self)
        return waited_s >= (DRAIN_MOVE_S if is_silent else DRAIN_LIMIT_S)

    def open(self, start: StartSpeaking, respond: Respond | None) -> None:
        """Load what it asks for, then answer. A later request of the same session replaces an earlier one."""
        self._cancel_opening(start.session)
        others = {*self._sessions, *self._opening} - {start.session}
        has_room = len(others) < self._capacity  # decided here: of two that come at once, the first one gets the place
        task = asyncio.get_running_loop().create_task(self._open(start, respond, has_room=has_room))
        self._opening[start.session] = task
        task.add_done_callback(lambda done: self._opened(start.session, done))

    def unknown(self, message: Message) -> None:
        """A command for a session that holds no voice here: who waits for sound is told, the rest is done already."""
        if isinstance(message, TextChunk | Resume):
            log.warning("a session that was not started is to be spoken for", session=message.session)
            reason = "the session holds no voice here: start it first"
            failed = SpeakingFailed(session=message.session, turn=message.turn, code="no-voice", reason=reason)
            self._around.bus.publish(tts_event(message.session, self._around.worker), failed)

    def end(self, session: SessionId) -> None:
        """Forget it; harmless when it is not known."""
        self._cancel_opening(session)
        if reports := self._reports.pop(session, None):
            reports.cancel()
        if found := self._sessions.pop(session, None):
            found.end()
            self._on_changed()
        self._recordings.leave(session)

    def forget_silent(self, now: float, *, after_s: float, paused_s: float) -> None:
        """Forget sessions that gave no sign of life for long, and turns that were paused for long."""
        for name, session in tuple(self._sessions.items()):
            session.expire(now, paused_s=paused_s)
            if now - session.seen_at > after_s:
                log.info("a session gave no sign of life", session=name)
                self.end(name)

    def end_all(self) -> None:
        """Forget everybody."""
        for name in {*self._sessions, *self._opening}:
            self.end(name)

    async def _open(self, start: StartSpeaking, respond: Respond | None, *, has_room: bool) -> None:
        try:
            ready = await self._hold(start, has_room=has_room)
        except Refused as error:
            if respond is not None:
                respond(SpeakingRefused(session=start.session, code=error.code, reason=error.reason[:1000]))
            return
        if respond is not None:
            respond(ready)

    async def _hold(self, start: StartSpeaking, *, has_room: bool) -> SpeakingReady:
        if self.draining:
            raise Refused("draining", "this worker takes no new sessions")
        if not has_room:
            raise Refused("too-many-sessions", f"this worker speaks for {self._capacity} sessions already")
        model = start.model or self._default()
        voices = self._models.voices
        if not voices.speaks(model, start.language):
            raise Refused("no-such-language", f"{model} does not speak {start.language!r}")
        if start.reference is not None and model in voices.models and not voices.clones(model):
            raise Refused("no-such-capability", f"{model} cannot imitate a recording: choose another voice, or none")
        resident = model in self._models.resident
        lease = await self._models.acquire(model, start.session)
        try:
            if start.reference is not None:
                await self._recordings.imitate(start.session, start.reference, lease.voice)
            if start.session not in self._reports:
                subject = session_playout(start.session)
                self._reports[start.session] = await self._around.bus.subscribe(subject, self._on_playout)
        except BaseException:
            lease.release()
            raise
        session = self._sessions.get(start.session)
        if session is None:
            session = self._sessions[start.session] = SpeakingSession(start.session, self._around)
            self._on_changed()
        session.use(lease, language=start.language, speed=start.speed, imitates=start.reference)
        if start.reference is None:
            self._recordings.leave(start.session)
        rate = lease.voice.sample_rate
        return SpeakingReady(session=start.session, model=model, sample_rate=rate, resident=resident)

    def _default(self) -> ModelId:
        if not self._models.voices.models:
            raise Refused("no-such-model", "this worker knows no voices")
        return self._models.voices.models[0]

    def _on_playout(self, _subject: object, message: object, _respond: object) -> None:
        if isinstance(message, Playout) and (session := self._sessions.get(message.session)):
            session.on_playout(message)

    def _cancel_opening(self, session: SessionId) -> None:
        if task := self._opening.pop(session, None):
            task.cancel()

    def _opened(self, session: SessionId, task: "asyncio.Task[None]") -> None:
        if self._opening.get(session) is task:
            del self._opening[session]
        if not task.cancelled() and (error := task.exception()):
            log.error("a session could not be opened", session=session, exc_info=error)
