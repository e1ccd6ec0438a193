"""What `antiphon talk` and `antiphon say` are made of: a gateway, and files or devices for ears and mouth."""

import asyncio
import codecs
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actors.call import Dial
from actors.mailbox import Mailbox
from actors.policies.earpiece import Earpiece
from actors.saying import Saying
from actors.talk import Talk, talk_in_real_time
from adapters.transport.client import WebSocketConnection
from adapters.transport.terminal import Loudspeaker, Microphone
from adapters.transport.wav import SoundFile, SoundRecording
from protocol.audio import SPEECH_RATE, Flags, Frame
from protocol.conversation import Flush, Hold, OpenSession, Release, ResumeSession, SessionConfig, SessionOpened
from protocol.ids import Samples, TurnId
from protocol.message import Message
from protocol.ports import GatewayConnection

_READ_BYTES: Final = 65_536

Show = Callable[[Message], None]
Note = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where to call, and what to show at the door."""

    url: str
    key: str = ""

    @property
    def dial(self) -> Dial:
        """A new connection for each first message."""

        async def dial(first: OpenSession | ResumeSession) -> tuple[GatewayConnection, SessionOpened]:
            return await WebSocketConnection.open(self.url, first, key=self.key)

        return dial


def run(main: Coroutine[Any, Any, None]) -> bool:
    """Run it to its end; False when Ctrl-C or SIGTERM came first (what it holds is given back all the same)."""

    async def terminable() -> None:
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
        await main

    try:
        asyncio.run(terminable())
    except KeyboardInterrupt:
        return False
    return True


async def talk_with_files(
    gateway: Gateway,
    config: SessionConfig,
    source: Path,
    target: Path | None,
    *,
    show: Show,
    on_lost: Note,
    wait_s: float | None,
) -> None:
    """Play `source` to the gateway and record its answers, aligned with it from the first sample.

    Raises:
        SoundUnavailable: a file cannot be used.
        GatewayUnavailable: nobody answers, or not any more.
        Refused: the session was not granted.
    """
    with ExitStack() as open_files:
        user = open_files.enter_context(closing(SoundFile(source)))
        recording = None if target is None else open_files.enter_context(closing(SoundRecording(target)))
        talk = Talk(gateway.dial, config, show=show, on_lost=on_lost)
        await talk.begin()
        play = _nobody_listens if recording is None else recording.play
        await talk_in_real_time(talk, user.frames(), play, wait_s=wait_s)
        if recording is not None:
            recording.fill_up(int(user.seconds * SPEECH_RATE))


async def talk_aloud(gateway: Gateway, config: SessionConfig, *, show: Show, on_lost: Note, on_listening: Note) -> None:
    """Talk through this machine's microphone and loudspeaker until the session is closed.

    Raises:
        SoundUnavailable: there is none.
        GatewayUnavailable: nobody answers, or not any more.
        Refused: the session was not granted.
    """
    mailbox = Mailbox(asyncio.get_running_loop())
    talk = Talk(gateway.dial, config, show=show, on_lost=on_lost)
    loudspeaker = Loudspeaker(lambda: mailbox.post(lambda: loudspeaker.write(talk.pull())))
    try:
        microphone = Microphone(lambda pcm: mailbox.post(talk.call.hear, pcm))
        try:
            await talk.begin()
            microphone.start()
            loudspeaker.start()
            on_listening()
            await talk.call.run()
        finally:
            microphone.close()
    finally:
        loudspeaker.close()


async def say_into_file(gateway: Gateway, config: SessionConfig, texts: AsyncIterator[str], target: Path) -> float:
    """Write the speech, its exact samples and nothing else, to a WAV file; returns its length in seconds.

    Raises:
        SoundUnavailable: the file cannot be written.
        GatewayUnavailable: nobody answers, or not any more.
        Refused: the text or the session was refused.
    """
    with closing(SoundRecording(target)) as recording:

        def keep(frame: Frame) -> None:
            if Flags.COMFORT not in frame.flags:
                recording.play(frame.pcm)

        saying = Saying(gateway.dial, config, on_frame=keep, on_gate=_ignore)
        await saying.say(texts, language=config.language or "en")
        return recording.samples / SPEECH_RATE


async def say_aloud(gateway: Gateway, config: SessionConfig, texts: AsyncIterator[str]) -> None:
    """Speak through this machine's loudspeaker and return when it has fallen silent.

    Raises:
        SoundUnavailable: there is none.
        GatewayUnavailable: nobody answers, or not any more.
        Refused: the text or the session was refused.
    """
    mailbox = Mailbox(asyncio.get_running_loop())
    earpiece = Earpiece()
    wanted = asyncio.Event()

    def next_frame() -> None:
        loudspeaker.write(earpiece.pull())
        wanted.set()

    def heard() -> tuple[TurnId, Samples]:
        return earpiece.turn, earpiece.played

    loudspeaker = Loudspeaker(lambda: mailbox.post(next_frame))
    try:
        loudspeaker.start()
        saying = Saying(gateway.dial, config, on_frame=earpiece.take, on_gate=earpiece.obey, heard=heard)
        await saying.say(texts, language=config.language or "en")
        await _until_silent(earpiece, wanted)
        await asyncio.sleep(loudspeaker.latency_s)
    finally:
        loudspeaker.close()


async def _until_silent(earpiece: Earpiece, wanted: asyncio.Event) -> None:
    while not earpiece.silent:
        wanted.clear()
        await wanted.wait()


def _nobody_listens(_pcm: bytes | None) -> None:
    """The transcript is all that is wanted."""


def _ignore(_gate: Hold | Release | Flush) -> None:
    """A file has no buffer that could be held."""


async def standard_input() -> AsyncIterator[str]:
    """What comes on standard input, as it comes; a thread reads it, for a file there cannot be awaited."""
    mailbox = Mailbox(asyncio.get_running_loop())
    arrived: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := os.read(sys.stdin.fileno(), _READ_BYTES):
            mailbox.post(arrived.put_nowait, decoder.decode(data))
        mailbox.post(arrived.put_nowait, decoder.decode(b"", final=True))
        mailbox.post(arrived.put_nowait, None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (text := await arrived.get()) is not None:
        yield text
