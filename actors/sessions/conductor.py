"""Drives turn-taking: events and time go in, its commands are done at once and in order. On the loop."""

from collections import deque
from collections.abc import Callable, Sequence

from actors.policies.turn_taking import TurnTaking
from actors.policies.turn_taking.commands import Command
from actors.policies.turn_taking.events import Event
from actors.sessions.chores import Chores
from actors.sessions.ports import Cancel, Clock
from protocol.ids import Millis


class Conductor:
    """An event that comes of a command is next; nothing is done within something else.

    Args:
        do: executes one command.
        then: called when the commands of one event are done, before the next event.
        rest: called when no event is left, before the alarm is set.
    """

    def __init__(
        self,
        turns: TurnTaking,
        *,
        clock: Clock,
        chores: Chores,
        do: Callable[[Command], None],
        then: Callable[[], None],
        rest: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._clock = clock
        self._chores = chores
        self._do = do
        self._then = then
        self._rest = rest
        self._inbox: deque[Event] = deque()
        self._at_work = False
        self._due: Millis | None = None
        self._call_off: Cancel | None = None

    def now(self) -> Millis:
        """In the policy's unit."""
        return Millis(int(self._clock() * 1000))

    def feed(self, event: Event) -> None:
        """Let the policy decide, and do what it says."""
        self._inbox.append(event)
        if not self._at_work:
            self._work(())

    def settle(self) -> None:
        """Something else has changed: rest, and set the alarm anew."""
        if self._at_work:
            return
        self._rest()
        due = self._turns.deadline()
        if due == self._due:
            return
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        self._due = due
        if due is not None:
            self._call_off = self._chores.later((due - self.now()) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._call_off, self._due = None, None
        self._work(self._turns.on_time(self.now()))

    def _work(self, decided: Sequence[Command]) -> None:
        self._at_work = True
        try:
            self._execute(decided)
            while self._inbox:
                self._execute(self._turns.on(self._inbox.popleft(), self.now()))
        finally:
            self._at_work = False
        self.settle()

    def _execute(self, decided: Sequence[Command]) -> None:
        for command in decided:
            self._do(command)
        self._then()
