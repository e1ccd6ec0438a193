"""A session's link to the worker that transcribes for it."""

from typing import Final

import structlog

from actors.policies.turn_taking.commands import AskTranscript
from actors.sessions.chores import Chores
from actors.sessions.ports import Clock, Router
from actors.sessions.seeker import Seeker
from protocol.conversation import CommandRefused
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.hearing import AsrEvent, EndListening, StartListening, Transcribe
from protocol.ids import SessionId, UnixMicros, WorkerName
from protocol.ports import Bus
from protocol.speaking import SpeakingRefused
from protocol.subjects import asr_command
from protocol.workers import Announcement, WorkerRefused

START_TIMEOUT_S: Final = 5.0
CHECK_TIMEOUT_S: Final = 1.0
SUSPICIOUS_S: Final = 2.5
"""A worker that has not answered for this long is asked whether it lives."""

log = structlog.get_logger()


class Ears:
    """On the loop."""

    def __init__(
        self, *, session: SessionId, language: str, bus: Bus, router: Router, chores: Chores, clock: Clock
    ) -> None:
        self._session = session
        self._language = language
        self._bus = bus
        self._router = router
        self._chores = chores
        self._clock = clock
        self._worker: WorkerName | None = None
        self._started_at = UnixMicros(0)
        self._ready = False
        self._seeker = Seeker(chores, self._find)
        self._asked: AskTranscript | None = None
        self._asked_at = 0.0

    @property
    def worker(self) -> WorkerName | None:
        """Who listens."""
        return self._worker

    async def start(self) -> None:
        """Have a worker keep this session's sound.

        Raises:
            Refused: by the router, or by the worker.
        """
        announcement = self._router.choose_asr(language=self._language)
        await self._start_at(announcement.name, START_TIMEOUT_S)
        self._settle(announcement)

    def speak_language(self, language: str) -> None:
        """The user speaks this from now on.

        Raises:
            Refused: nobody understands it.
        """
        self._router.choose_asr(language=language)
        self._language = language
        self._seeker.seek()

    def ask(self, command: AskTranscript) -> None:
        """Have a range transcribed; while nobody listens the newest request waits."""
        now = self._clock()
        if self._asked is not None and now - self._asked_at > SUSPICIOUS_S:
            self._check()
        self._asked, self._asked_at = command, now
        if self._ready:
            self._send(command)

    def answered(self, event: AsrEvent) -> None:
        """The worker lives."""
        if self._asked is not None and event.request >= self._asked.request:
            self._asked = None

    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """A worker came, went, or says something new of itself."""
        if name != self._worker:
            if not self._ready and announcement is not None and announcement.kind == "asr":
                self._seeker.seek()
            return
        if announcement is None or announcement.started_at != self._started_at:
            self._ready = False
            self._seeker.seek()
        elif announcement.state == "draining":
            self._seeker.seek()

    def end(self) -> None:
        """The session closes."""
        if self._worker is not None:
            self._bus.publish(asr_command(self._session, self._worker), EndListening(session=self._session))
        self._ready = False

    def _check(self) -> None:
        if self._ready and self._bus.is_connected and self._worker is not None:
            self._chores.start(self._see_whether_it_lives(self._worker))

    async def _see_whether_it_lives(self, worker: WorkerName) -> None:
        try:
            await self._start_at(worker, CHECK_TIMEOUT_S)
        except Refused:
            if self._worker == worker and self._bus.is_connected:
                self._ready = False
                self._seeker.seek()

    async def _find(self) -> None:
        before = self._worker
        announcement = self._router.choose_asr(language=self._language)
        await self._start_at(announcement.name, START_TIMEOUT_S)
        if before is not None and before != announcement.name:
            self._bus.publish(asr_command(self._session, before), EndListening(session=self._session))
        self._settle(announcement)

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

    def _settle(self, announcement: Announcement) -> None:
        if announcement.name != self._worker or announcement.started_at != self._started_at:
            log.info("listened to by", session=self._session, worker=announcement.name)
        self._worker, self._started_at = announcement.name, announcement.started_at
        was_ready, self._ready = self._ready, True
        if self._asked is not None and not was_ready:
            self._send(self._asked)

    def _send(self, command: AskTranscript) -> None:
        if self._worker is None:
            return
        message = Transcribe(
            session=self._session,
            request=command.request,
            first=command.first,
            end=command.end,
            final=command.final,
            language=self._language,
        )
        self._bus.publish(asr_command(self._session, self._worker), message)
