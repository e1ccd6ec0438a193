"""Microphone and loudspeaker of this machine, through PortAudio."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import soxr

from protocol.audio import MIC_FRAME, MIC_RATE, SPEECH_FRAME, SPEECH_RATE
from protocol.errors import SoundUnavailable

_LEAD: Final = 2
"""Frames between us and the device: 40 ms."""
_FILES: Final = "`talk --in user.wav --out reply.wav`, `say --out file.wav`"
_SILENCE: Final = bytes(2 * SPEECH_FRAME)


class Microphone:
    """Calls `on_sound` with 20 ms of 16 kHz mono s16le at a time, on PortAudio's thread."""

    def __init__(self, on_sound: Callable[[bytes], None]) -> None:
        """Open the default microphone; nothing is heard before `start`.

        Raises:
            SoundUnavailable: no PortAudio, or no microphone.
        """
        self._on_sound = on_sound
        self._held = bytearray()
        device = _sounddevice()
        rate = _rate(device, "input", MIC_RATE)
        self._resampler = soxr.ResampleStream(rate, MIC_RATE, 1, dtype="int16") if rate != MIC_RATE else None
        self._stream = _open(
            device, "microphone", device.RawInputStream, samplerate=rate, blocksize=rate // 50, callback=self._heard
        )

    def start(self) -> None:
        """Begin to hear."""
        self._stream.start()

    def close(self) -> None:
        """Give the device back."""
        self._stream.close()

    def _heard(self, block: Any, _frames: int, _time: Any, _status: Any) -> None:
        pcm = bytes(block)
        if self._resampler is not None:
            pcm = self._resampler.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()
        self._held += pcm
        while len(self._held) >= 2 * MIC_FRAME:
            self._on_sound(bytes(self._held[: 2 * MIC_FRAME]))
            del self._held[: 2 * MIC_FRAME]


class Loudspeaker:
    """Plays what is written, and calls `on_wanted` on PortAudio's thread for each 20 ms that it has taken."""

    def __init__(self, on_wanted: Callable[[], None]) -> None:
        """Open the default loudspeaker; nothing is played before `start`.

        Raises:
            SoundUnavailable: no PortAudio, or no loudspeaker.
        """
        self._on_wanted = on_wanted
        self._queue: deque[bytes] = deque([_SILENCE] * _LEAD)
        self._held = bytearray()
        device = _sounddevice()
        rate = _rate(device, "output", SPEECH_RATE)
        self._resampler = soxr.ResampleStream(SPEECH_RATE, rate, 1, dtype="int16") if rate != SPEECH_RATE else None
        self._stream = _open(
            device, "loudspeaker", device.RawOutputStream, samplerate=rate, blocksize=rate // 50, callback=self._play
        )

    def start(self) -> None:
        """Begin to play."""
        self._stream.start()

    def write(self, pcm: bytes | None) -> None:
        """The next 960 samples at 48 kHz, mono s16le, or None for silence. From any thread."""
        self._queue.append(pcm or _SILENCE)

    @property
    def latency_s(self) -> float:
        """From `write` to the air, about."""
        return float(self._stream.latency) + _LEAD * SPEECH_FRAME / SPEECH_RATE

    def close(self) -> None:
        """Give the device back, at once."""
        self._stream.close()

    def _play(self, block: Any, _frames: int, _time: Any, _status: Any) -> None:
        while len(self._held) < len(block):
            pcm = self._queue.popleft() if self._queue else _SILENCE
            if self._resampler is not None:
                pcm = self._resampler.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()
            self._held += pcm
            self._on_wanted()
        block[:] = bytes(self._held[: len(block)])
        del self._held[: len(block)]


def _sounddevice() -> Any:
    try:
        import sounddevice  # noqa: PLC0415 - an extra, and it looks for a library when it is imported
    except ImportError as error:
        raise SoundUnavailable("the package `sounddevice` is missing: pip install 'antiphon[mic]'") from error
    except OSError as error:
        raise SoundUnavailable(
            "the library PortAudio is missing: `apt install libportaudio2`, `dnf install portaudio` or "
            f"`brew install portaudio`; without it, use files: {_FILES}"
        ) from error
    return sounddevice


def _rate(device: Any, kind: str, wanted: int) -> int:
    """`wanted` if the default device takes it, else the device's own."""
    try:
        check = device.check_input_settings if kind == "input" else device.check_output_settings
        check(samplerate=wanted, channels=1, dtype="int16")
    except (device.PortAudioError, ValueError):
        try:
            return int(device.query_devices(kind=kind)["default_samplerate"])
        except (device.PortAudioError, ValueError):
            return wanted
    return wanted


def _open(device: Any, name: str, stream: Callable[..., Any], **options: Any) -> Any:
    try:
        return stream(channels=1, dtype="int16", latency="low", **options)
    except (device.PortAudioError, ValueError) as error:
        raise SoundUnavailable(f"no {name} can be opened ({error}); use files instead: {_FILES}") from error


def list_devices() -> str:
    """The default microphone and loudspeaker by name.

    Raises:
        SoundUnavailable: no PortAudio, or one of them is missing.
    """
    device = _sounddevice()
    try:
        return " and ".join(str(device.query_devices(kind=kind)["name"]) for kind in ("input", "output"))
    except (device.PortAudioError, ValueError) as error:
        raise SoundUnavailable(f"PortAudio finds no microphone or no loudspeaker ({error})") from error
