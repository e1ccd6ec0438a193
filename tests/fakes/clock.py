"""Time that passes when a test says so."""

from collections.abc import Callable


class FakeClock:
    """Callable like `time.monotonic`; `call_later` is `actors.peer_ports.CallLater`."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self._due: dict[int, tuple[float, Callable[[], None]]] = {}
        self._count = 0

    def __call__(self) -> float:
        return self.now

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call this once so much time has passed; returns how to call it off."""
        self._count += 1
        number = self._count
        self._due[number] = (self.now + delay_s, call)

        def call_off() -> None:
            self._due.pop(number, None)

        return call_off

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due on the way is called in order."""
        until = self.now + seconds
        while due := sorted((at, number) for number, (at, _) in self._due.items() if at <= until):
            at, number = due[0]
            self.now = max(self.now, at)
            self._due.pop(number)[1]()
        self.now = until

    @property
    def waiting(self) -> int:
        """How many calls are due at some time."""
        return len(self._due)
