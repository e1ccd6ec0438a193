"""From a voice pack to a loaded model. A family's packages are imported only when one of its models is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.tts.requirements import REQUIREMENTS
from adapters.voicepacks import VoicePack
from adapters.voicepacks.verifying import check_weights
from protocol.errors import ModelUnavailable
from protocol.ports import Synthesizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model computes.

    Attributes:
        cache: folder of the family for what is derived from its weights.
        threads: how many may compute.
        device: `cpu`, or `cuda:0` for a model that torch runs.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: what the family speaks well with on that device.
    """

    cache: Path
    threads: int = 1
    device: str = "cpu"
    dtype: str = "auto"


def load_synthesizer(
    pack: VoicePack, *, cache: Path | None = None, threads: int = 1, device: str = "cpu", dtype: str = "auto"
) -> Synthesizer:
    """The pack's model (see `Place`). On the thread that will use it; takes up to two seconds, torch models longer.

    `cache` is where derived files are kept (default: the pack's own cache).

    Raises:
        ModelUnavailable: a package or a file is missing or broken, or no adapter knows the family.
    """
    if reason := pack.why_absent():
        raise ModelUnavailable(f"{pack.model_id}: {reason}", fault="missing")
    check_weights(pack)
    if pack.family not in FAMILIES:
        raise ModelUnavailable(f"no adapter knows the family {pack.family!r} of {pack.model_id}")
    if unknown := set(pack.options) - OPTIONS.get(pack.family, frozenset()):
        raise ModelUnavailable(f"{pack.model_id}: options: {pack.family} knows no {', '.join(sorted(unknown))}")
    place = Place(cache=cache or pack.cache / pack.family, threads=threads, device=device, dtype=dtype)
    return FAMILIES[pack.family](pack, place)


def _hibari(pack: VoicePack, place: Place) -> Synthesizer:
    from adapters.tts.hibari import HibariSynthesizer  # noqa: PLC0415  # see the module's docstring

    return HibariSynthesizer(pack.model_id, voice=pack.voice or "heart", threads=place.threads)


def _piper(pack: VoicePack, place: Place) -> Synthesizer:
    weights, config = pack.file("weights"), pack.file("config")
    try:
        from adapters.tts.piper import PiperSynthesizer  # noqa: PLC0415  # see the module's docstring
    except ImportError as error:
        raise _not_installed("Piper", "piper", error) from error
    return PiperSynthesizer(pack.model_id, weights=weights, config=config, cache=place.cache, threads=place.threads)


def _kokoro(pack: VoicePack, place: Place) -> Synthesizer:
    from adapters.tts.kokoro import KokoroSynthesizer  # noqa: PLC0415  # see the module's docstring

    voice = pack.voice or "jf_alpha"
    folder = pack.folder()
    return KokoroSynthesizer(pack.model_id, folder=folder, voice=voice, cache=place.cache, threads=place.threads)


def _xtts(pack: VoicePack, place: Place) -> Synthesizer:
    try:
        from adapters.tts.xtts import open_xtts  # noqa: PLC0415  # see the module's docstring
        from adapters.tts.xtts_files import XttsFiles  # noqa: PLC0415  # as above
    except ImportError as error:
        raise _not_installed("XTTS", "xtts", error) from error
    named = {file.role for file in pack.files()}
    files = XttsFiles(
        weights=pack.file("weights"),
        config=pack.file("config"),
        vocabulary=pack.file("vocabulary"),
        speakers=pack.file("speakers") if "speakers" in named else None,
    )
    seed = None if pack.reference is None else pack.home / pack.reference.audio
    return open_xtts(
        pack.model_id, files, seed_audio=seed, options=pack.options, cache=place.cache,
        threads=place.threads, device=place.device, dtype=place.dtype,
    )  # fmt: skip


def _csm(pack: VoicePack, place: Place) -> Synthesizer:
    try:
        from adapters.tts.csm_pack import open_pack  # noqa: PLC0415  # see the module's docstring
    except ImportError as error:
        raise _not_installed("CSM", "csm", error) from error
    return open_pack(pack, threads=place.threads, device=place.device, dtype=place.dtype)


def _cosyvoice2(pack: VoicePack, place: Place) -> Synthesizer:
    try:
        from adapters.tts.cosyvoice import open_cosyvoice  # noqa: PLC0415  # see the module's docstring
    except ImportError as error:
        raise _not_installed("CosyVoice", "cosyvoice2", error) from error
    if pack.reference is None:
        raise ModelUnavailable(f"{pack.model_id}: CosyVoice has no voice of its own: give its pack a reference")
    return open_cosyvoice(
        pack.model_id, pack.folder(), seed_audio=pack.home / pack.reference.audio, seed_text=pack.reference.text,
        options=pack.options, threads=place.threads, device=place.device, dtype=place.dtype,
    )  # fmt: skip


def _not_installed(name: str, family: str, error: ImportError) -> ModelUnavailable:
    return ModelUnavailable(f"{name} is not installed ({error}): {REQUIREMENTS[family].advice}", fault="missing")


FAMILIES: Final[Mapping[str, Callable[[VoicePack, Place], Synthesizer]]] = {
    "cosyvoice2": _cosyvoice2,
    "csm": _csm,
    "hibari": _hibari,
    "kokoro": _kokoro,
    "piper": _piper,
    "xtts": _xtts,
}
"""Who loads which family."""

OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "cosyvoice2": frozenset(("mode", "instruction", "text_in", "repo")),
    "csm": frozenset(("speaker", "longest_char_ms", "longest_extra_ms", "context_turns", "context_seconds", "compile")),
    "xtts": frozenset(
        ("speaker", "temperature", "top_k", "top_p", "repetition_penalty", "longest_char_ms", "longest_extra_ms")
    ),
}
"""Which options of a pack a family knows, if any; others are refused instead of being passed over."""
