"""A session's link to the worker that transcribes for it."""

from collections.abc import Callable
from typing import Final

import structlog

from actors.policies.turn_taking.commands import AskTranscript
from actors.sessions.chores import Chores
from actors.sessions.ports import Clock, Router, Sound
from actors.sessions.seeker import Seeker
from protocol.conversation import CommandRefused
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.hearing import AsrEvent, EndListening, StartListening, Transcribe, TranscriptionFailed
from protocol.ids import SessionId, WorkerName
from protocol.ports import Bus
from protocol.speaking import SpeakingRefused
from protocol.subjects import asr_command
from protocol.workers import Announcement, WorkerRefused

START_TIMEOUT_S: Final = 5.0
FIND_TIMEOUT_S: Final = 1.0
"""For one that is to take over in mid-conversation: its loop answers at once, whatever its model computes."""
SUSPICIOUS_S: Final = 2.5
"""A worker that has not answered for this long is asked whether it lives."""
FORGIVEN: Final = 2
"""So often a request whose sound the worker does not hold is asked again, with the sound sent again before it."""

log = structlog.get_logger()


class Ears:
    """On the loop. Nothing is asked about sound that the worker was not sent.

    Args:
        sound: held back while nobody listens, and replayed to who listens next.
        on_lost: nobody listens any more; `on_returned` follows when somebody does, and has all that was kept.
    """

    def __init__(
        self,
        *,
        session: SessionId,
        language: str,
        bus: Bus,
        router: Router,
        sound: Sound,
        chores: Chores,
        clock: Clock,
        on_lost: Callable[[], None],
        on_returned: Callable[[], None],
    ) -> None:
        self._session = session
        self._language = language
        self._bus = bus
        self._router = router
        self._sound = sound
        self._clock = clock
        self._chores = chores
        self._on_lost = on_lost
        self._on_returned = on_returned
        self._seeker = Seeker(chores, self._find)
        self._current: Announcement | None = None
        self._listening = False
        self._said_lost = False
        self._target: Announcement | None = None
        """Who is being moved to."""
        self._target_lost = False
        self._left: set[WorkerName] = set()
        """Who may not know that we have left."""
        self._asked: AskTranscript | None = None
        self._asked_at = 0.0
        self._sent = False
        self._forgiven = 0

    @property
    def worker(self) -> WorkerName | None:
        """Who listens, or did last."""
        return None if self._current is None else self._current.name

    async def start(self) -> None:
        """Have a worker keep this session's sound.

        Raises:
            Refused: by the router, or by the workers.
        """
        self._sound.hold()
        await self._settle_somewhere(START_TIMEOUT_S)

    def speak_language(self, language: str) -> None:
        """The user speaks this from now on.

        Raises:
            Refused: nobody understands it.
        """
        self._router.choose_asr(language=language)
        self._language = language
        self._seeker.seek()

    # --- what is asked and answered ---------------------------------------------------------------------------------
    def ask(self, command: AskTranscript) -> None:
        """Have a range transcribed; while nobody listens the newest request waits."""
        now = self._clock()
        if self._sent and now - self._asked_at > SUSPICIOUS_S:
            self._check()
        self._asked, self._asked_at = command, now
        self._sent, self._forgiven = False, 0
        self._send()

    def answered(self, worker: WorkerName | None, event: AsrEvent) -> bool:
        """Whether turn-taking should hear of this: it comes of who listens, and is more than a lapse of memory."""
        if worker is None or worker != self.worker:
            return False
        asked = self._asked
        if asked is None or event.request < asked.request:
            return True
        if isinstance(event, TranscriptionFailed) and event.code == "no-audio" and self._may_have_forgotten():
            return False
        self._asked, self._sent = None, False
        return True

    def _may_have_forgotten(self) -> bool:
        """Of a worker that does not hold what it was sent: once more from the beginning, unless that did not help."""
        if self._target is not None or not self._listening:
            return True  # the sound is on its way, and the request follows it
        if self._forgiven >= FORGIVEN:
            return False
        self._forgiven += 1
        log.warning("listened to without memory", session=self._session, worker=self.worker)
        self._lose()
        return True

    def _send(self) -> None:
        if self._asked is None or self._current is None or self._sent or not self._listening:
            return
        if self._target is not None:
            return
        self._sent = True
        message = Transcribe(
            session=self._session,
            request=self._asked.request,
            first=self._asked.first,
            end=self._asked.end,
            final=self._asked.final,
            language=self._language,
        )
        self._bus.publish(asr_command(self._session, self._current.name), message)

    # --- workers come and go ----------------------------------------------------------------------------------------
    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """A worker came, went, or says something new of itself."""
        if self._target is not None and name == self._target.name and _is_another_life(announcement, self._target):
            self._target_lost = True
            self._sound.hold()
        if self._current is not None and name == self._current.name:
            self._on_current(self._current, announcement)
        elif announcement is not None and announcement.kind == "asr":
            self._on_other(name)

    def _on_current(self, current: Announcement, now: Announcement | None) -> None:
        if _is_another_life(now, current) and self._listening:
            self._lose()
        elif now is not None and (now.state == "draining" or not self._listening):
            self._seeker.seek()

    def _on_other(self, name: WorkerName) -> None:
        if name in self._left:
            self._left.discard(name)
            self._say_goodbye(name)  # it may have slept when it was told
        if not self._listening:
            self._seeker.seek()

    def end(self) -> None:
        """The session closes."""
        self._say_goodbye(self.worker)
        self._listening = False

    def _lose(self) -> None:
        """Nobody listens: what is said from now on is kept."""
        self._listening = self._sent = False
        self._sound.hold()
        self._say_lost()
        self._seeker.seek()

    def _say_lost(self) -> None:
        if not self._said_lost and self._current is not None:
            self._said_lost = True
            log.warning("recognizer lost", session=self._session, worker=self.worker)
            self._on_lost()

    def _check(self) -> None:
        if self._listening and self._target is None and self._bus.is_connected and self._current is not None:
            self._chores.start(self._see_whether_it_lives(self._current))

    async def _see_whether_it_lives(self, worker: Announcement) -> None:
        try:
            await self._start_at(worker.name, FIND_TIMEOUT_S)
        except Refused:
            if self._current is worker and self._bus.is_connected:
                self._lose()

    # --- moving -----------------------------------------------------------------------------------------------------
    async def _find(self) -> None:
        await self._settle_somewhere(FIND_TIMEOUT_S)

    async def _settle_somewhere(self, timeout_s: float) -> None:
        """At the best worker that takes us.

        Raises:
            Refused: by the router, or by all workers in turn.
        """
        refused_by: set[WorkerName] = set()
        refusal: Refused | None = None
        while True:
            try:
                best = self._router.choose_asr(language=self._language, avoid=frozenset(refused_by))
            except Refused as nobody:
                raise refusal or nobody from None
            if self._listening and self._current is not None and not _is_another_life(best, self._current):
                return
            try:
                await self._move(best, timeout_s)
            except Refused as refused:
                refusal = refused
                refused_by.add(best.name)
            else:
                return

    async def _move(self, to: Announcement, timeout_s: float) -> None:
        """Be listened to by this one, from the oldest sound that is kept.

        Raises:
            Refused: it does not answer, or not as it should, or it was lost before it had the sound.
        """
        self._target, self._target_lost = to, False
        self._sound.hold()
        if to.name == self.worker or to.name in self._left:
            self._say_goodbye(to.name)  # it must not join what it may hold with what it is sent now
        try:
            await self._start_at(to.name, timeout_s)
            self._arrive(to)
            await self._replay(to)
        except Refused:
            self._target = None
            self._make_do()
            raise
        self._target = None
        self._listening, self._said_lost = True, False
        self._on_returned()
        self._send()

    async def _replay(self, to: Announcement) -> None:
        if not self._target_lost:
            await self._sound.replay()
        if self._target_lost:
            raise Refused("recognizer-lost", f"The worker {to.name} was lost while it was told what was said.")

    def _make_do(self) -> None:
        """Nobody new was found: the one before goes on, if there is one."""
        if self._listening:
            self._sound.resume()
            self._send()
        else:
            self._say_lost()

    def _arrive(self, at: Announcement) -> None:
        before, self._current = self.worker, at
        self._listening = self._sent = False
        self._left.discard(at.name)
        if before is not None and before != at.name:
            self._left.add(before)
            self._say_goodbye(before)
        log.info("listened to by", session=self._session, worker=at.name)

    async def _start_at(self, worker: WorkerName, timeout_s: float) -> None:
        command = StartListening(session=self._session, language=self._language)
        try:
            answer = await self._bus.request(
                asr_command(self._session, worker, command.type), command, timeout_s=timeout_s
            )
        except (BusUnavailable, MalformedMessage) as error:
            raise Refused("recognizer-unreachable", f"The worker {worker} does not answer as it should.") from error
        if isinstance(
            answer, CommandRefused | SpeakingRefused | WorkerRefused
        ):  # the same JSON: who decodes can't tell
            raise Refused(answer.code, answer.reason)

    def _say_goodbye(self, worker: WorkerName | None) -> None:
        if worker is not None:
            self._bus.publish(asr_command(self._session, worker), EndListening(session=self._session))


def _is_another_life(now: Announcement | None, before: Announcement) -> bool:
    """Whether it has gone, or has come back without its memory, or is another one."""
    return now is None or (now.name, now.started_at) != (before.name, before.started_at)
