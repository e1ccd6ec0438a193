"""From a voice pack to CSM: a base of its own, or an adapter of another pack's."""

from pathlib import Path
from typing import Final

import soundfile

from adapters.tts.csm import CsmFiles, CsmSynthesizer, open_csm
from adapters.tts.csm_lora import CONFIG, WEIGHTS
from adapters.voicepacks import VoicePack, find_packs
from adapters.voicepacks.verifying import check_weights
from protocol.errors import ModelUnavailable
from protocol.ports import Reference

_COMPILE: Final = "compile"


def open_pack(pack: VoicePack, *, threads: int, device: str, dtype: str) -> CsmSynthesizer:
    """Load it. An adapter speaks by its base's options where it has none of its own.

    Raises:
        ModelUnavailable: with the reason; the base is missing, for one.
    """
    base = base_of(pack)
    compiled = base.options.get(_COMPILE, False)
    if not isinstance(compiled, bool):
        raise ModelUnavailable(f"{base.model_id}: options: {_COMPILE}: true or false is wanted")
    if base is not pack and _COMPILE in pack.options:
        raise ModelUnavailable(f"{pack.model_id}: options: {_COMPILE}: is up to the base, {base.model_id}")
    options = {name: value for name, value in {**base.options, **pack.options}.items() if name != _COMPILE}
    files = CsmFiles(base=base.folder(), adapter=_adapter(pack) if base is not pack else None, compiled=compiled)
    return open_csm(
        pack.model_id, files, reference=_reference(pack), options=options, threads=threads, device=device, dtype=dtype
    )


def base_of(pack: VoicePack) -> VoicePack:
    """The pack that has the base's weights: itself, if it is no adapter.

    Raises:
        ModelUnavailable: there is none, it is no CSM, or its weights are not here.
    """
    if pack.base is None:
        return pack
    base = find_packs(user=pack.home.parent.parent, cache=pack.cache).get(pack.base)
    if base is None or base.family != pack.family:
        raise ModelUnavailable(f"{pack.model_id}: base: there is no {pack.family} voice {pack.base}", fault="missing")
    if reason := base.why_absent():
        raise ModelUnavailable(f"{pack.model_id}: its base {base.model_id}: {reason}", fault="missing")
    check_weights(base)
    return base


def _adapter(pack: VoicePack) -> Path:
    folder = pack.folder()
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelUnavailable(f"{pack.model_id}: {name} is missing", fault="missing")
    return folder


def _reference(pack: VoicePack) -> Reference | None:
    if pack.reference is None:
        return None
    pcm, rate = soundfile.read(pack.home / pack.reference.audio, dtype="float32", always_2d=True)
    return Reference(pcm=pcm.mean(axis=1), sample_rate=rate, text=pack.reference.text)
