"""The voices that a model has been given to imitate. On a TtsActor's thread."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from protocol.errors import AntiphonError, SynthesisFailed
from protocol.ports import Calibrate, Cloner, Reference, SpeechShaper, Synthesizer
from protocol.speaking import ReferenceId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Imitation:
    """A model that speaks with a recording's voice, at that voice's own level."""

    synthesizer: Synthesizer
    open_shaper: Callable[[], SpeechShaper]


class Imitations:
    """By the recording's name; one that is forgotten while it speaks is closed when it has spoken."""

    def __init__(self, calibrate: Calibrate, before_closing: Callable[[ReferenceId], None] = lambda _: None) -> None:
        """`before_closing` hears which one is about to go."""
        self._calibrate = calibrate
        self._before_closing = before_closing
        self._known: dict[ReferenceId, Imitation] = {}
        self._forgotten: set[ReferenceId] = set()

    def learn(self, model: Synthesizer, name: ReferenceId, reference: Reference) -> str:
        """Imitate this, from now on; harmless when it is known. Returns why that is not possible, or nothing."""
        try:
            self._learn(model, name, reference)
        except AntiphonError as error:
            return str(error)
        except Exception as error:
            log.exception("a recording cannot be learned, in a way that the adapter does not know")
            return type(error).__name__
        return ""

    def _learn(self, model: Synthesizer, name: ReferenceId, reference: Reference) -> None:
        self._forgotten.discard(name)
        if name in self._known:
            return
        if not isinstance(model, Cloner):
            raise SynthesisFailed(f"{model.model} cannot imitate a recording")
        synthesizer = model.imitate(reference)
        try:
            self._known[name] = Imitation(synthesizer, self._calibrate(synthesizer))
        except BaseException:
            synthesizer.close()
            raise

    def get(self, name: ReferenceId) -> Imitation | None:
        """None when it was never learned, or is forgotten."""
        return None if name in self._forgotten else self._known.get(name)

    def forget(self, name: ReferenceId, in_use: Collection[ReferenceId | None]) -> None:
        """It is not wanted any more."""
        if name in self._known:
            self._forgotten.add(name)
        self.close_forgotten(in_use)

    def close_forgotten(self, in_use: Collection[ReferenceId | None]) -> None:
        """Give back what nobody speaks with any more."""
        for name in [name for name in self._forgotten if name not in in_use]:
            self._forgotten.discard(name)
            self._before_closing(name)
            self._known.pop(name).synthesizer.close()

    def close(self) -> None:
        """All of them."""
        for imitation in self._known.values():
            imitation.synthesizer.close()
        self._known.clear()
        self._forgotten.clear()
