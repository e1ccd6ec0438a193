"""From a voice pack to a loaded model. A family's packages are imported only when one of its models is loaded."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.voicepacks import VoicePack
from protocol.errors import ModelUnavailable
from protocol.ports import Synthesizer


def load_synthesizer(pack: VoicePack, *, cache: Path | None = None, threads: int = 1) -> Synthesizer:
    """The pack's model. On the thread that will use it; takes up to two seconds.

    `cache` is where derived files are kept (default: the pack's own cache), `threads` what onnxruntime may use.

    Raises:
        ModelUnavailable: a package or a file is missing or broken, or no adapter knows the family.
    """
    if reason := pack.why_absent():
        raise ModelUnavailable(f"{pack.model_id}: {reason}")
    if pack.family not in FAMILIES:
        raise ModelUnavailable(f"no adapter knows the family {pack.family!r} of {pack.model_id}")
    return FAMILIES[pack.family](pack, cache or pack.cache / pack.family, threads)


def _hibari(pack: VoicePack, _cache: Path, threads: int) -> Synthesizer:
    from adapters.tts.hibari import HibariSynthesizer  # noqa: PLC0415  # see the module's docstring

    return HibariSynthesizer(pack.model_id, voice=pack.voice or "heart", threads=threads)


def _piper(pack: VoicePack, cache: Path, threads: int) -> Synthesizer:
    weights, config = pack.file("weights"), pack.file("config")
    try:
        from adapters.tts.piper import PiperSynthesizer  # noqa: PLC0415  # see the module's docstring
    except ImportError as error:
        raise ModelUnavailable(f"Piper is not installed ({error}): install antiphon[piper]") from error
    return PiperSynthesizer(pack.model_id, weights=weights, config=config, cache=cache, threads=threads)


def _kokoro(pack: VoicePack, cache: Path, threads: int) -> Synthesizer:
    from adapters.tts.kokoro import KokoroSynthesizer  # noqa: PLC0415  # see the module's docstring

    voice = pack.voice or "jf_alpha"
    return KokoroSynthesizer(pack.model_id, folder=pack.folder(), voice=voice, cache=cache, threads=threads)


FAMILIES: Final[Mapping[str, Callable[[VoicePack, Path, int], Synthesizer]]] = {
    "hibari": _hibari,
    "kokoro": _kokoro,
    "piper": _piper,
}
"""Who loads which family: the pack, a folder for derived files, and the number of threads come in."""
