"""Who listens to a session: finding a worker, leaving it for another, and the sound that each must have first."""

from collections.abc import Callable
from typing import Final

import structlog

from actors.policies.routing import speaks
from actors.sessions.chores import Chores
from actors.sessions.ports import Router, Sound
from actors.sessions.seeker import Seeker
from protocol.errors import BusUnavailable, MalformedMessage, Refused
from protocol.hearing import EndListening, StartListening
from protocol.ids import SessionId, WorkerName
from protocol.ports import Bus
from protocol.refusals import Refusal
from protocol.subjects import asr_command
from protocol.workers import Announcement

START_TIMEOUT_S: Final = 5.0
FIND_TIMEOUT_S: Final = 1.0
"""For one that is to take over in mid-conversation: its loop answers at once, whatever its model computes."""

log = structlog.get_logger()


class Listener:
    """On the loop.

    Args:
        sound: held back while nobody listens, and replayed to who listens next.
        on_lost: nobody listens any more.
        on_listening: somebody does, from now on or still, and has been sent all that is kept.
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
        on_lost: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        self.language = language
        self._session = session
        self._bus = bus
        self._router = router
        self._sound = sound
        self._chores = chores
        self._on_lost = on_lost
        self._on_listening = on_listening
        self._seeker = Seeker(chores, self._find)
        self._current: Announcement | None = None
        self._listening = False
        self._said_lost = False
        self._target: Announcement | None = None
        """Who is being moved to."""
        self._target_lost = False
        self._left: set[WorkerName] = set()
        """Who may not know that we have left."""
        self.visits = 0
        """How often a worker began to listen."""

    @property
    def worker(self) -> WorkerName | None:
        """Who listens, or did last."""
        return None if self._current is None else self._current.name

    @property
    def listens(self) -> bool:
        """Whether somebody does, and has been sent all that is kept."""
        return self._listening and self._target is None

    def knows(self, language: str) -> bool:
        """Whether who listens understands this."""
        return self._listening and self._current is not None and speaks(self._current, language)

    # --- workers come and go ----------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Have a worker keep this session's sound.

        Raises:
            Refused: by the router, or by the workers.
        """
        self._sound.hold()
        await self._seeker.first(self._settle_somewhere(START_TIMEOUT_S))

    def seek(self) -> None:
        """See who is best now."""
        self._seeker.seek()

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
            self.lose()
        elif now is not None and (now.state == "draining" or not self._listening):
            self._seeker.seek()

    def _on_other(self, name: WorkerName) -> None:
        if name in self._left:
            self._left.discard(name)
            self._say_goodbye(name)  # it may have slept when it was told
        if not self._listening:
            self._seeker.seek()

    def lose(self) -> None:
        """Nobody listens, or not as they should: what is said from now on is kept for the next."""
        self._listening = False
        self._sound.hold()
        self._say_lost()
        self._seeker.seek()

    def check(self) -> None:
        """See whether the worker lives."""
        if self.listens and self._bus.is_connected and self._current is not None:
            self._chores.start(self._see_whether_it_lives(self._current))

    def end(self) -> None:
        """The session closes."""
        for worker in {one.name for one in (self._current, self._target) if one is not None}:
            self._say_goodbye(worker)
        self._listening = False

    async def _see_whether_it_lives(self, worker: Announcement) -> None:
        try:
            await self._start_at(worker.name, FIND_TIMEOUT_S)
        except Refused:
            if self.listens and self._current is worker and self._bus.is_connected:
                self.lose()

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
                best = self._router.choose_asr(language=self.language, avoid=frozenset(refused_by))
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
        self._on_listening()

    def _arrive(self, at: Announcement) -> None:
        before, self._current = self.worker, at
        self._listening = False
        self.visits += 1
        self._left.discard(at.name)
        if before is not None and before != at.name:
            self._left.add(before)
            self._say_goodbye(before)
        log.info("listened to by", session=self._session, worker=at.name)

    async def _replay(self, to: Announcement) -> None:
        if not self._target_lost:
            await self._sound.replay()
        if self._target_lost:
            raise Refused("recognizer-lost", f"The worker {to.name} was lost while it was told what was said.")

    def _make_do(self) -> None:
        """Nobody new was found: the one before goes on, if there is one."""
        if self._listening:
            self._sound.resume()
            self._on_listening()
        else:
            self._say_lost()

    def _say_lost(self) -> None:
        if not self._said_lost and self._current is not None:
            self._said_lost = True
            log.warning("recognizer lost", session=self._session, worker=self.worker)
            self._on_lost()

    async def _start_at(self, worker: WorkerName, timeout_s: float) -> None:
        command = StartListening(session=self._session, language=self.language)
        try:
            answer = await self._bus.request(
                asr_command(self._session, worker, command.type), command, timeout_s=timeout_s
            )
        except (BusUnavailable, MalformedMessage) as error:
            raise Refused("recognizer-unreachable", f"The worker {worker} does not answer as it should.") from error
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.reason)

    def _say_goodbye(self, worker: WorkerName) -> None:
        self._bus.publish(asr_command(self._session, worker), EndListening(session=self._session))


def _is_another_life(now: Announcement | None, before: Announcement) -> bool:
    """Whether it has gone, or has come back without its memory, or is another one."""
    return now is None or (now.name, now.started_at) != (before.name, before.started_at)
