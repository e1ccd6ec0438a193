"""A conversation in lines: one for each thing that happens."""

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.text import Text

from protocol.conversation import (
    CommandRefused,
    Heard,
    Reply,
    SessionClosed,
    SessionError,
    SessionOpened,
    StateChanged,
    Transcript,
    TurnMeasured,
)
from protocol.message import Message

_STATE_STYLE: Final = {"LISTENING": "green", "THINKING": "yellow", "SPEAKING": "blue", "BARGED_IN": "magenta"}


class Lines:
    """Prints what a session tells its client."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._begun_at = clock()

    def show(self, message: Message) -> None:
        """One line, or none for what is not news to a person."""
        match message:
            case SessionOpened(session=session, config=config, resumed=resumed):
                what = "back in" if resumed else "opened"
                self._line("session", f"{what} {session}, voice {config.voice or 'default'}", "dim")
            case StateChanged(state=state, turn=turn):
                self._line("state", f"{state}{f' (turn {turn})' if turn else ''}", _STATE_STYLE[state])
            case Transcript(text=text, final=final):
                self._line("you", text if final else f"{text} …", "bold" if final else "dim")
            case Reply(text=text) if text.strip():
                self._line("reply", text.strip(), "cyan")
            case Heard(heard=heard, unheard=unheard, interrupted=True):
                self._line("heard", f"{heard.strip()} | not heard: {unheard.strip()}", "magenta")
            case TurnMeasured(latencies_ms=latencies):
                figures = ", ".join(f"{name.replace('_', ' ')} {ms:.0f} ms" for name, ms in latencies.items())
                self._line("latency", figures, "dim")
            case SessionError(message=reason, code=code):
                self._line("error", f"{reason} ({code})", "red")
            case CommandRefused(reason=reason):
                self._line("refused", reason, "red")
            case SessionClosed(reason=reason):
                self._line("closed", reason, "dim")
            case _:
                pass

    def lost(self) -> None:
        """The connection is gone."""
        self._line("lost", "the connection; calling again", "yellow")

    def listening(self) -> None:
        """The microphone is open."""
        self._line("speak", "use headphones, or the loudspeaker interrupts itself; Ctrl-C hangs up", "dim")

    def _line(self, label: str, text: str, style: str) -> None:
        line = Text(f"{self._clock() - self._begun_at:7.2f} s  {label:<8} ", style="dim")
        line.append(" ".join(text.split()), style=style)
        self._console.print(line, soft_wrap=True, highlight=False)
