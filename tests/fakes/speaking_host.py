"""A gateway without models that speaks all the same: a word is a tenth of a second of a sound that can be checked."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from aiohttp import web

from adapters.transport.http import make_app
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import (
    Accepted,
    ClientPlayout,
    CloseSession,
    CommandRefused,
    Heard,
    Reply,
    Say,
    SessionClosed,
    SessionConfig,
    SessionError,
    SessionOpened,
    State,
    StateChanged,
    Transcript,
    TurnMeasured,
)
from protocol.errors import Refused
from protocol.ids import Samples, SessionId, TurnId, UnixMicros
from protocol.message import Message
from protocol.ports import ClientLink, Readiness

SESSION = SessionId("speaking-1")
TOKEN = "speaking-token-0123456789"
FRAMES_PER_WORD = 5
_END_OF_SPEECH = 10
_LOUD = 1_000
_PAGE = Path(__file__).resolve().parents[2] / "adapters" / "web"


def sound_of(turn: int, words: int) -> "np.typing.NDArray[np.int16]":
    """What a turn of so many words sounds like: no two neighbouring frames of a turn are the same."""
    positions = np.arange(words * FRAMES_PER_WORD * SPEECH_FRAME)
    return ((positions * 7 + turn * 1_000) % 16_001 - 8_000).astype(np.int16)


class SpeakingConversation:
    """Implements `protocol.ports.Conversation`: answers a loud sound with its reply, and says what it is told to."""

    def __init__(self, host: "SpeakingHost", link: ClientLink) -> None:
        self._host = host
        self.session = SESSION
        self.link: ClientLink | None = link
        self.commands: list[Message] = []
        self.heard: list[bytes] = []
        self._turn = 0
        self._words = 0
        self._frames: deque[Frame] = deque()
        self._sent: list[Frame] = []
        self._open = False
        self._user_speaks = False
        self._silence = 0

    def hear(self, pcm: bytes) -> None:
        """Notice when the user has spoken."""
        self.heard.append(pcm)
        if np.abs(np.frombuffer(pcm, np.int16)).max() > _LOUD:
            self._user_speaks, self._silence = True, 0
            return
        self._silence += 1
        if self._user_speaks and self._silence >= _END_OF_SPEECH:
            self._user_speaks = False
            self._tell(Transcript(session=SESSION, utterance=1, text="hello there", final=True))
            self._say("You said hello there.", last=True)

    def command(self, message: Message) -> Message:
        """Do it."""
        self.commands.append(message)
        match message:
            case Say() if self._host.refusal is not None:
                return CommandRefused(code="no", reason=self._host.refusal, session=SESSION)
            case Say(text="", last=True) if not self._open:
                return CommandRefused(code="empty-text", reason="There is nothing to speak in this text.")
            case Say(text=text, last=last):
                self._say(text, last=last)
            case ClientPlayout(turn=turn, played=played) if turn == self._turn:
                self._rewind(played)
            case CloseSession():
                self._tell(SessionClosed(session=SESSION, reason="closed by the client"))
                self._host.closed.set()
        return Accepted(session=SESSION)

    def pull(self) -> Frame | None:
        """The next frame."""
        if self._host.mute or not self._frames or self.link is None:
            return None
        frame = self._frames.popleft()
        if not self._sent:
            self._state("SPEAKING")
            self._host.spoke.set()
        self._sent.append(frame)
        if Flags.LAST in frame.flags:
            self._tell(
                Heard(session=SESSION, turn=frame.turn, heard="all", unheard="", interrupted=False, exact=True),
                TurnMeasured(session=SESSION, turn=frame.turn, latencies_ms={"text_to_first_frame": 12.3}),
            )
            self._state("LISTENING")
        elif len(self._sent) == self._host.lose_after:
            self._host.lose_after = 0
            self._lose()
        return frame

    def detach(self, link: ClientLink) -> None:
        """The client may come back."""
        if link is self.link:
            self.link = None

    def attach(self, link: ClientLink) -> None:
        """It does."""
        self.link = link

    def _lose(self) -> None:
        """As a network that fails."""
        assert self.link is not None
        self.link._transport.abort()  # type: ignore[attr-defined]  # the WebSocket link's; a port has no such thing

    def _say(self, text: str, *, last: bool) -> None:
        if not self._open:
            self._turn += 1
            self._words, self._sent, self._open = 0, [], True
            self._state("THINKING")
        if self._host.failure is not None:
            self._open = False
            self._tell(SessionError(session=SESSION, code="voice-failed", message=self._host.failure))
            self._state("LISTENING")
            return
        self._tell(Reply(session=SESSION, turn=TurnId(self._turn), text=text, last=last))
        first = self._words
        self._words += len(text.split())
        self._open = not last
        self._frames.extend(self._rendered(first, last=last))

    def _rendered(self, first_word: int, *, last: bool) -> Iterator[Frame]:
        sound = sound_of(self._turn, self._words).tobytes()
        begin, end = first_word * FRAMES_PER_WORD, self._words * FRAMES_PER_WORD
        if last and begin == end:  # an empty end: one frame of silence carries the flag
            sound, end = sound + bytes(2 * SPEECH_FRAME), end + 1
        for number in range(begin, end):
            ends = last and number == end - 1
            yield Frame(
                kind=Kind.SPEECH,
                turn=TurnId(self._turn),
                sequence=number,
                position=Samples(number * SPEECH_FRAME),
                captured_at=UnixMicros(0),
                pcm=sound[2 * SPEECH_FRAME * number : 2 * SPEECH_FRAME * (number + 1)],
                flags=Flags.LAST if ends else Flags.NONE,
            )

    def _rewind(self, played: Samples) -> None:
        while self._sent and self._sent[-1].position >= played:
            self._frames.appendleft(self._sent.pop())

    def _state(self, state: State) -> None:
        self._tell(StateChanged(session=SESSION, state=state, turn=TurnId(self._turn)))

    def _tell(self, *messages: Message) -> None:
        for message in messages:
            if self.link is not None:
                self.link.tell(message)


class SpeakingHost:
    """Implements `protocol.ports.ConversationHost`.

    Attributes:
        lose_after: the connection is lost once, after so many frames of a turn.
        forget: sessions cannot be resumed.
        failure: the reason for which every turn fails.
        refusal: the reason for which every `say` is refused.
        mute: nothing is ever spoken.
    """

    def __init__(
        self,
        *,
        lose_after: int = 0,
        forget: bool = False,
        failure: str | None = None,
        refusal: str | None = None,
        mute: bool = False,
    ) -> None:
        self.lose_after = lose_after
        self.forget = forget
        self.failure = failure
        self.refusal = refusal
        self.mute = mute
        self.configs: list[SessionConfig] = []
        self.resumed = 0
        self.closed = threading.Event()
        self.spoke = threading.Event()
        self.conversation: SpeakingConversation

    async def open(self, config: SessionConfig, link: ClientLink) -> tuple[SpeakingConversation, SessionOpened]:
        """A new session."""
        if config.voice not in (None, "hibari-heart"):
            raise Refused("no-such-voice", f"There is no voice {config.voice}; there are: hibari-heart.")
        self.configs.append(config)
        self.conversation = SpeakingConversation(self, link)
        return self.conversation, SessionOpened(session=SESSION, token=TOKEN, config=config)

    async def resume(
        self, session: SessionId, token: str, link: ClientLink
    ) -> tuple[SpeakingConversation, SessionOpened]:
        """Back to it."""
        if self.forget or (session, token) != (SESSION, TOKEN):
            raise Refused("no-such-session", "This session is over.")
        self.resumed += 1
        self.conversation.attach(link)
        return self.conversation, SessionOpened(session=SESSION, token=TOKEN, config=self.configs[-1], resumed=True)

    def readiness(self) -> Readiness:
        """Always."""
        return Readiness(ready=True)


@contextmanager
def served(host: SpeakingHost, *, api_key: str | None = None) -> Iterator[str]:
    """The gateway's real doors in front of this host, on a thread with a loop of its own; gives the URL."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    url: list[str] = []
    stop: list[asyncio.Event] = []

    async def serve() -> None:
        stop.append(asyncio.Event())
        runner = web.AppRunner(make_app(host, page_dir=_PAGE, api_key=api_key), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        await stop[0].wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop[0].set)
        thread.join(10)
        loop.close()
