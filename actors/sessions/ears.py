"""What a session asks of the worker that transcribes for it, and which answers count."""

from collections.abc import Callable
from typing import Final

import structlog

from actors.policies.turn_taking.commands import AskTranscript
from actors.sessions.chores import Chores
from actors.sessions.listener import Listener
from actors.sessions.ports import Clock, Router, Sound
from protocol.errors import Refused
from protocol.hearing import AsrEvent, Transcribe, TranscriptionFailed
from protocol.ids import SessionId, WorkerName
from protocol.ports import Bus
from protocol.subjects import asr_command
from protocol.workers import Announcement

SUSPICIOUS_S: Final = 2.5
"""A worker that has not answered for this long is asked whether it lives."""
FORGIVEN: Final = 2
"""So often a request whose sound the worker does not hold is asked again, with the sound sent again before it."""

log = structlog.get_logger()


class Ears:
    """On the loop. Nothing is asked about sound that the worker was not sent.

    Args:
        sound: held back while nobody listens, and replayed to who listens next.
        on_lost: nobody listens any more.
        on_returned: somebody does, and has been sent all that is kept; harmless when nobody was lost.
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
        self._bus = bus
        self._router = router
        self._clock = clock
        self._on_returned = on_returned
        self._listener = Listener(
            session=session,
            language=language,
            bus=bus,
            router=router,
            sound=sound,
            chores=chores,
            on_lost=on_lost,
            on_listening=self._on_listening,
        )
        self._asked: AskTranscript | None = None
        self._asked_at = 0.0
        self._sent_in = 0
        """The visit at a worker in which it was sent; 0 while it waits."""
        self._forgiven = 0

    @property
    def worker(self) -> WorkerName | None:
        """Who listens, or did last."""
        return self._listener.worker

    @property
    def language(self) -> str:
        """What the user is taken to speak."""
        return self._listener.language

    async def start(self) -> None:
        """Have a worker keep this session's sound.

        Raises:
            Refused: by the router, or by the workers.
        """
        await self._listener.start()

    def check_language(self, language: str) -> None:
        """See whether the user could speak this. Changes nothing.

        Raises:
            Refused: nobody understands it.
        """
        try:
            self._router.choose_asr(language=language, tentative=True)
        except Refused as refused:
            if refused.code != "no-capacity" or not self._listener.knows(language):
                raise  # the place that we have is enough

    def speak_language(self, language: str) -> None:
        """The user speaks this from now on."""
        self._listener.language = language
        self._listener.seek()

    def on_worker(self, name: WorkerName, announcement: Announcement | None) -> None:
        """A worker came, went, or says something new of itself."""
        self._listener.on_worker(name, announcement)

    def end(self) -> None:
        """The session closes."""
        self._listener.end()

    def ask(self, command: AskTranscript) -> None:
        """Have a range transcribed; while nobody listens the newest request waits."""
        now = self._clock()
        if self._asked is not None and self._is_sent and now - self._asked_at > SUSPICIOUS_S:
            self._listener.check()
        self._asked, self._asked_at = command, now
        self._sent_in = self._forgiven = 0
        self._send()

    def answered(self, worker: WorkerName | None, event: AsrEvent) -> bool:
        """Whether turn-taking should hear of this: it comes of who listens, and is more than a lapse of memory."""
        if worker is None or worker != self.worker:
            return False
        if self._asked is None or event.request < self._asked.request:
            return True
        if isinstance(event, TranscriptionFailed) and event.code == "no-audio" and self._may_have_forgotten():
            return False
        self._asked = None
        return True

    def _may_have_forgotten(self) -> bool:
        """Of a worker that does not hold what it was sent: once more from the beginning, unless that did not help."""
        if not self._listener.listens:
            return True  # the sound is on its way, and the request follows it
        if self._forgiven >= FORGIVEN:
            return False
        self._forgiven += 1
        log.warning("listened to without memory", session=self._session, worker=self.worker)
        self._listener.lose()
        return True

    @property
    def _is_sent(self) -> bool:
        return self._sent_in == self._listener.visits

    def _on_listening(self) -> None:
        self._on_returned()
        self._send()

    def _send(self) -> None:
        worker = self.worker
        if self._asked is None or worker is None or self._is_sent or not self._listener.listens:
            return
        self._sent_in = self._listener.visits
        message = Transcribe(
            session=self._session,
            request=self._asked.request,
            first=self._asked.first,
            end=self._asked.end,
            final=self._asked.final,
            language=self._listener.language,
        )
        self._bus.publish(asr_command(self._session, worker), message)
