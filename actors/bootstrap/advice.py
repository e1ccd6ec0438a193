"""What to do about a voice that no worker has, as far as the voice packs of this machine know it."""

import os
from pathlib import Path

import structlog

from actors.bootstrap.packs import all_packs
from actors.settings import WorkerSettings
from actors.settings_sources import load
from adapters.voicepacks import HubSource, Packs
from protocol.errors import Refused, SettingsInvalid

log = structlog.get_logger()


class VoiceAdvice:
    """Says nothing until the packs are read."""

    def __init__(self) -> None:
        self._packs: Packs | None = None

    def read(self) -> None:
        """Find them where a worker that is started here finds them. On a thread: it takes a quarter of a second."""
        try:
            self._packs = all_packs(load(WorkerSettings, default_file=Path("worker.yaml"), environ=os.environ))
        except (SettingsInvalid, OSError) as error:
            log.warning("no advice on missing voices can be given", reason=str(error))

    def on(self, model: str) -> str:
        """Half a sentence; empty if there is no such pack. Looks at its files, but reads none."""
        pack = None if self._packs is None else self._packs.get(model)
        if pack is None:
            return ""
        reason = pack.why_absent()
        if not reason:
            return f"its weights are here: antiphon models reload, or antiphon serve tts --family {pack.family}"
        if isinstance(pack.source, HubSource):
            return f"it is {reason}, then antiphon models reload"
        return f"it cannot be used: {reason}"


def advised(refused: Refused, model: str) -> Refused:
    """The same, with what to do about a voice that nobody has; of the command line, which can wait."""
    if refused.code != "no-such-model":
        return refused
    advice = VoiceAdvice()
    advice.read()
    hint = advice.on(model)
    return Refused(refused.code, f"{refused.reason}; {hint}") if hint else refused
