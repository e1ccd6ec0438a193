"""Whom XTTS sounds like: two tensors, of a built-in speaker or learned from a recording and kept on disk."""

import hashlib
import os
import tempfile
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import structlog
import torch
import torchaudio

from adapters.tts.ranges import phase
from adapters.tts.xtts_files import LoadedXtts
from protocol.errors import ModelUnavailable, SynthesisFailed
from protocol.ports import Reference

log = structlog.get_logger()
_RATE: Final = 22_050
"""What the model listens at, in Hz."""
_SPEAKER: Final = (1, 512, 1)
_UPLOADS_KEPT_S: Final = 24 * 3600.0
"""As long as the recordings themselves may lie in the store."""
_MOST_UPLOADS: Final = 256
_QUIETEST: Final = 1e-4
"""Of full scale: nothing louder than -80 dBFS is no recording of a voice."""


@dataclass(frozen=True, slots=True)
class XttsVoice:
    """On the model's device.

    Attributes:
        condition: for the language model, [1, n, channels], in its precision.
        speaker: for the vocoder, [1, 512, 1].
    """

    condition: Any
    speaker: Any


def built_in(loaded: LoadedXtts, name: str | None) -> XttsVoice:
    """One of speakers_xtts.pth; the first if None.

    Raises:
        ModelUnavailable: there is none of that name.
    """
    found = name or next(iter(loaded.speakers), None)
    if found is None or found not in loaded.speakers:
        known = ", ".join(sorted(loaded.speakers)[:8]) or "none"
        raise ModelUnavailable(f"XTTS has no built-in speaker {name!r}; there are: {known}")
    speaker = loaded.speakers[found]
    return _placed(loaded, speaker["gpt_cond_latent"], speaker["speaker_embedding"])


def read_seed(path: Path) -> Reference:
    """A pack's recording."""
    pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return Reference(pcm=pcm.mean(axis=1), sample_rate=rate, text="")


class Cloning:
    """Learns voices, each once: what it has learned lies on disk by the sound's SHA-256 and the model's mark.

    A seed's is kept, an upload's for a day. A file that is broken is learned anew, a disk that is full costs time only.
    """

    def __init__(self, loaded: LoadedXtts, cache: Path) -> None:
        self._loaded = loaded
        self._folder = cache / f"voices-{loaded.mark}"

    def learn(self, reference: Reference, *, keep: bool) -> XttsVoice:
        """The voice of a recording.

        Raises:
            SynthesisFailed: nothing can be heard in it.
        """
        if not np.isfinite(reference.pcm).all() or not np.any(np.abs(reference.pcm) > _QUIETEST):
            raise SynthesisFailed("XTTS: nothing can be heard in the recording")
        folder = self._folder / ("seeds" if keep else "uploads")
        path = folder / f"{self._name(reference)}.npz"
        _forget_old(self._folder / "uploads")
        known = self._read(path)
        if known is None:
            with phase("xtts.clone"):
                known = self._computed(reference)
            _write(path, *known)
        return _placed(self._loaded, *known)

    def _name(self, reference: Reference) -> str:
        """Of the sound, and of how much of it is listened to."""
        config = self._loaded.config
        heard = (config.max_ref_len, config.gpt_cond_len, config.gpt_cond_chunk_len, config.sound_norm_refs)
        digest = hashlib.sha256(np.ascontiguousarray(reference.pcm, np.float32).tobytes())
        digest.update(repr((reference.sample_rate, heard)).encode())
        return digest.hexdigest()

    def _computed(self, reference: Reference) -> tuple[Any, Any]:
        model, config = self._loaded.model, self._loaded.config
        with torch.inference_mode():
            sound = torch.from_numpy(np.array(reference.pcm, np.float32))[None]
            if reference.sample_rate != _RATE:
                sound = torchaudio.functional.resample(sound, reference.sample_rate, _RATE)
            sound = sound.clip(-1.0, 1.0)[:, : _RATE * config.max_ref_len]
            if config.sound_norm_refs:
                sound = sound / sound.abs().max() * 0.75
            condition = model.get_gpt_cond_latents(
                sound, _RATE, length=config.gpt_cond_len, chunk_length=config.gpt_cond_chunk_len
            )
            return condition.float().cpu(), model.get_speaker_embedding(sound, _RATE).float().cpu()

    def _read(self, path: Path) -> tuple[Any, Any] | None:
        try:
            with np.load(path, allow_pickle=False) as stored:
                condition, speaker = stored["condition"], stored["speaker"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("a learned voice is broken and learned anew", reason=type(error).__name__)
            return None
        channels = self._loaded.config.model_args.gpt_n_model_channels
        fits = condition.ndim == len(_SPEAKER) and condition.shape[::2] == (1, channels) and speaker.shape == _SPEAKER
        if not fits or not (np.isfinite(condition).all() and np.isfinite(speaker).all()):
            log.warning("a learned voice is broken and learned anew", reason="shape or values")
            return None
        return torch.from_numpy(condition), torch.from_numpy(speaker)


def _placed(loaded: LoadedXtts, condition: Any, speaker: Any) -> XttsVoice:
    device = loaded.model.device
    return XttsVoice(condition.to(device, loaded.dtype), speaker.to(device, torch.float32))


def _write(path: Path, condition: Any, speaker: Any) -> None:
    """Whole or not at all, for nobody else to read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, condition=condition.numpy(), speaker=speaker.numpy())
            Path(unfinished).replace(path)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    except OSError as error:
        log.warning("a learned voice cannot be kept", reason=type(error).__name__)


def _forget_old(folder: Path) -> None:
    """Uploads belong to somebody who may not want to be remembered."""
    with suppress(OSError):  # another process may tidy up, too
        by_age = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        oldest = time.time() - _UPLOADS_KEPT_S
        for index, path in enumerate(by_age):
            if index >= _MOST_UPLOADS or path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
