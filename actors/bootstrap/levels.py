"""How a model's level becomes known: measured once, and read by the processes that come later."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import adapters.audio
import adapters.tts
from actors.voice_threads import warmed_up
from adapters.audio.kept_levels import keep_level, read_level
from adapters.audio.mastering import mastered, measured
from adapters.voicepacks import VoicePack
from adapters.voicepacks.fingerprint import fingerprint, of_files
from protocol.ports import Calibrate, SpeechShaper, Synthesizer

_CODE: Final = tuple(path for package in (adapters.audio, adapters.tts) for path in sorted(package.__path__))


def kept_level(pack: VoicePack, *, device: str, dtype: str) -> Calibrate | None:
    """Measures a pack's level by letting it speak two sentences, or knows it and lets it speak a little.

    Known is what was measured of the same files by the same adapters. None for an adapter of another model (`base`),
    whose files are not its own: it is measured at each start.
    """
    if pack.base is not None or not pack.is_present():
        return None
    code = of_files(file for folder in _CODE for file in sorted(Path(folder).glob("*.py")))
    name = f"{pack.model_id}-{fingerprint(pack, device, dtype, *code)}.json"
    return partial(_calibrate, pack.cache / pack.family / "levels" / name, pack.languages[0])


def _calibrate(file: Path, language: str, synthesizer: Synthesizer) -> Callable[[], SpeechShaper]:
    known = read_level(file)
    if known is not None:
        return warmed_up(mastered(synthesizer.sample_rate, known), language, synthesizer)
    found = measured(synthesizer)
    keep_level(file, found)
    return mastered(synthesizer.sample_rate, found)
