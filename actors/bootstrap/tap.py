"""What `antiphon tap` is made of: the bus as an observer has it, and WAV files."""

from contextlib import ExitStack, closing
from pathlib import Path

from actors.bootstrap.bus import connect
from actors.logs import configure_logging
from actors.settings import NatsSettings
from actors.tapping import Shown, Tap
from adapters.transport.wav import SoundRecording
from protocol.audio import Frame
from protocol.ids import SessionId, TurnId


async def tap(nats: NatsSettings, session: SessionId | None, shown: Shown, *, wav: Path | None) -> None:
    """Watch a session until it is closed, or all of them for ever.

    Raises:
        BusUnavailable: no server answers, or it does not let us listen.
        SoundUnavailable: the WAV file cannot be written.
    """
    configure_logging("critical")  # what an observer may not hear, or has missed, is told as a line of its own
    with ExitStack() as files:
        if wav is not None:
            shown.speech = _Recorder(wav, files, one_for_each_session=session is None).take
        bus = await connect(nats, name="tap")
        bus.on_reconnect(lambda: shown.listening("again; what passed while the connection was lost is missed"))
        try:
            await Tap(bus, session, shown).run()
        finally:
            await bus.close()


class _Recorder:
    """One file for a session: its turns one after the other, each by the positions of its samples."""

    def __init__(self, path: Path, files: ExitStack, *, one_for_each_session: bool) -> None:
        self._path = path
        self._files = files
        self._many = one_for_each_session
        self._tracks: dict[SessionId, _Track] = {}
        if not self._many:
            self._only = self._open(path)

    def take(self, session: SessionId, frame: Frame) -> None:
        """A worker's frame; one that was sent again lands in the same place."""
        track = self._tracks.get(session)
        if track is None:
            many = self._path.with_stem(f"{self._path.stem}-{session}")
            track = self._tracks[session] = self._open(many) if self._many else self._only
        track.take(frame)

    def _open(self, path: Path) -> "_Track":
        return _Track(self._files.enter_context(closing(SoundRecording(path))))


class _Track:
    def __init__(self, recording: SoundRecording) -> None:
        self._recording = recording
        self._turn = TurnId(0)
        self._base = 0

    def take(self, frame: Frame) -> None:
        if frame.turn > self._turn:
            self._turn = frame.turn
            self._base = self._recording.samples - frame.position
        first = self._base + frame.position
        if frame.turn == self._turn and first >= 0:
            self._recording.place(first, frame.pcm)
