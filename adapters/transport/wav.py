"""Sound files in the place of a microphone and a loudspeaker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr

from protocol.audio import MIC_FRAME, MIC_RATE, SPEECH_FRAME, SPEECH_RATE
from protocol.errors import SoundUnavailable
from protocol.ports import Pcm

_BLOCK_S: Final = 0.5


class SoundFile:
    """A file to be heard: any rate, any number of channels, any format that libsndfile reads."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            SoundUnavailable: it is missing, empty, or no sound file.
        """
        if not path.is_file():
            raise SoundUnavailable(f"there is no file {path}")
        try:
            self._file: Any = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise SoundUnavailable(f"{path} is no sound file that can be read (WAV, FLAC, Ogg, MP3)") from error
        if self._file.frames <= 0:
            self._file.close()
            raise SoundUnavailable(f"{path} holds no sound")

    @property
    def seconds(self) -> float:
        """Its length."""
        return float(self._file.frames / self._file.samplerate)

    def frames(self) -> Iterator[bytes]:
        """Its sound in pieces of 20 ms as a microphone gives it: 320 samples, 16 kHz, mono s16le."""
        held = np.zeros(0, np.float32)
        for block in self._resampled():
            held = np.concatenate([held, block])
            whole = len(held) // MIC_FRAME * MIC_FRAME
            for first in range(0, whole, MIC_FRAME):
                yield _as_s16le(held[first : first + MIC_FRAME])
            held = held[whole:]
        if len(held):
            yield _as_s16le(np.pad(held, (0, MIC_FRAME - len(held))))

    def _resampled(self) -> Iterator[Pcm]:
        resampler = soxr.ResampleStream(self._file.samplerate, MIC_RATE, 1, dtype="float32")
        left = self._file.frames
        for block in self._file.blocks(int(self._file.samplerate * _BLOCK_S), dtype="float32", always_2d=True):
            left -= len(block)
            yield resampler.resample_chunk(np.ascontiguousarray(block.mean(axis=1)), last=left <= 0)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class SoundRecording:
    """A WAV file of what was spoken: 48 kHz, mono, 16 bit. Silence at its end is written only if sound follows."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            SoundUnavailable: it cannot be written.
        """
        self._path = path
        self._due = 0
        """Samples of silence that are written when sound follows."""
        self.samples = 0
        """Its length so far, without the silence that is due."""
        try:
            self._file: Any = soundfile.SoundFile(
                path, "w", samplerate=SPEECH_RATE, channels=1, format="WAV", subtype="PCM_16"
            )
        except (soundfile.LibsndfileError, OSError) as error:
            raise SoundUnavailable(
                f"{path} cannot be written: is there such a folder, and may you write there?"
            ) from error

    def play(self, pcm: bytes | None) -> None:
        """The next sound (mono s16le at 48 kHz), or None for 20 ms of silence."""
        if pcm is None:
            self._due += SPEECH_FRAME
            return
        self._write(bytes(2 * self._due) + pcm)
        self._due = 0

    def place(self, first: int, pcm: bytes) -> None:
        """Sound at a place of its own; what lies before it and was not written yet is silence."""
        self.fill_up(first)
        if first == self.samples:
            self._write(pcm)
            return
        self._file.seek(first)
        overlap = min(len(pcm) // 2, self.samples - first)
        self._file.buffer_write(pcm[: 2 * overlap], dtype="int16")
        self._file.seek(self.samples)
        self._write(pcm[2 * overlap :])

    def fill_up(self, samples: int) -> None:
        """Make it so long with silence, if it is shorter."""
        self._write(bytes(2 * max(0, samples - self.samples)))

    def close(self) -> None:
        """Finish the file; silence that is due is left out."""
        self._file.close()

    def _write(self, pcm: bytes) -> None:
        try:
            self._file.buffer_write(pcm, dtype="int16")
        except (soundfile.LibsndfileError, OSError) as error:
            raise SoundUnavailable(f"{self._path} cannot be written any more: is the disk full?") from error
        self.samples += len(pcm) // 2


def _as_s16le(samples: Pcm) -> bytes:
    clean = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.rint(np.clip(clean, -1.0, 1.0) * 32767).astype("<i2").tobytes()
