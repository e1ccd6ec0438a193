"""All voices that a TTS worker could speak with, in memory or not."""

from collections.abc import Iterator, Sequence

from actors.policies.resident import Need
from actors.voices import Voice
from protocol.errors import Refused
from protocol.ids import ModelId


class Repertoire:
    """The first voice is the default one."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self.replace(voices)

    def __iter__(self) -> Iterator[Voice]:
        return iter(self._voices.values())

    def replace(self, voices: Sequence[Voice]) -> None:
        """These it is from now on."""
        self._voices = {voice.model: voice for voice in voices}

    def find(self, model: ModelId) -> Voice:
        """By its id.

        Raises:
            Refused: `no-such-model`, with those that there are.
        """
        voice = self._voices.get(model)
        if voice is None:
            raise Refused("no-such-model", f"there is no voice {model!r} here; there are: {', '.join(self._voices)}")
        return voice

    @property
    def models(self) -> tuple[ModelId, ...]:
        """Their ids, the default first."""
        return tuple(self._voices)

    @property
    def needs(self) -> dict[ModelId, Need]:
        """What each one takes, by its voice pack. One that adapts none shares all it has with whatever adapts it."""
        return {voice.model: self._need(voice) for voice in self}

    @property
    def languages(self) -> tuple[str, ...]:
        """All that could be spoken."""
        return tuple(dict.fromkeys(language for voice in self for language in voice.languages))

    @property
    def model_languages(self) -> dict[ModelId, tuple[str, ...]]:
        """What each one speaks."""
        return {voice.model: voice.languages for voice in self}

    def _need(self, voice: Voice) -> Need:
        if voice.base is None:
            return Need(0, voice.model, voice.memory_mb)
        base = self._voices.get(voice.base)
        return Need(voice.memory_mb, voice.base, base.memory_mb if base is not None else 0)

    def speaks(self, model: ModelId, language: str) -> bool:
        """Whether a model speaks a language, of whatever region; True for an unknown one, which `find` refuses."""
        voice = self._voices.get(model)
        wanted = language.partition("-")[0]
        return voice is None or any(spoken.partition("-")[0] == wanted for spoken in voice.languages)

    def clones(self, model: ModelId) -> bool:
        """Whether it can imitate a recording."""
        voice = self._voices.get(model)
        return voice is not None and voice.clones

    @property
    def can_clone(self) -> bool:
        """Whether any of them can."""
        return any(voice.clones for voice in self)
