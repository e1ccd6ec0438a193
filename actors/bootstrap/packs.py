"""Which voice packs a process may use, as its settings say."""

from collections.abc import Sequence

import structlog

from actors.settings import TtsWorkerSettings, WorkerSettings
from adapters.tts.requirements import REQUIREMENTS
from adapters.voicepacks import Packs, VoicePack, find_packs
from protocol.errors import SettingsInvalid
from protocol.ids import ModelId

log = structlog.get_logger()


def all_packs(settings: WorkerSettings) -> Packs:
    """The user's, and those of this project."""
    return find_packs(user=settings.voicepacks_dir, cache=settings.cache_dir)


def packs_to_speak_with(settings: WorkerSettings) -> Sequence[VoicePack]:
    """The family's packs whose weights are here, the default one first; the log names the others.

    Raises:
        SettingsInvalid: there is none, or a model that is named is none of them.
    """
    tts = settings.tts
    found = all_packs(settings)
    for broken in found.broken:
        log.warning("voice pack passed over", pack=broken.name, reason=broken.reason)
    packs = found.of(tts.family, first=tts.default_model)
    if not packs:
        families = ", ".join(sorted({pack.family for pack in found.good})) or "none"
        raise SettingsInvalid(f"tts.family: no voice pack of the family {tts.family!r}; there are: {families}")
    absent = {pack.model_id: reason for pack in packs if (reason := pack.why_absent())}
    for model, reason in absent.items():
        log.info("voice without weights", model=model, reason=reason)
    here = [pack for pack in packs if pack.model_id not in absent]
    known = ", ".join(pack.model_id for pack in here)
    for key, model in _named(tts):
        if model in absent:
            raise SettingsInvalid(f"tts.model_manager.{key}: {model}: {absent[model]}{_and_packages(tts.family)}")
        if model not in {pack.model_id for pack in here}:
            raise SettingsInvalid(f"tts.model_manager.{key}: there is no {model}; there are: {known or 'none'}")
    if not here:
        why = f"{next(iter(absent.values()))}{_and_packages(tts.family)}"
        raise SettingsInvalid(f"tts.family: no {tts.family} voice has its weights here: {why}")
    return here


def _and_packages(family: str) -> str:
    """Who has to pull weights should not learn only then that packages are missing, too."""
    required = REQUIREMENTS.get(family)
    missing = required.missing() if required is not None else ()
    return f"; and {required.advice}, for {', '.join(missing)}" if required is not None and missing else ""


def _named(tts: TtsWorkerSettings) -> Sequence[tuple[str, ModelId]]:
    preloaded = [("preload_model_ids", ModelId(model)) for model in tts.model_manager.preload_model_ids]
    return preloaded if tts.default_model is None else [("default_model_id", tts.default_model), *preloaded]
