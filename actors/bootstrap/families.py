"""Which families of voices `antiphon up` starts, a worker process for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adapters.tts.requirements import REQUIREMENTS, Requirement
from protocol.errors import SettingsInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Voices of one kind.

    Attributes:
        voice: the one that a session gets if this family is the default and nobody names a voice.
        by_itself: whether it is started where it is installed; else only when it is asked for, because it takes the
            processor or the memory from the others.
    """

    name: str
    voice: str
    by_itself: bool = False

    @property
    def requirement(self) -> Requirement:
        """What it needs."""
        return REQUIREMENTS[self.name]


FAMILIES: Final = (
    Family(name="hibari", voice="hibari-heart", by_itself=True),
    Family(name="piper", voice="piper-joe", by_itself=True),
    Family(name="kokoro", voice="kokoro-alpha"),
    Family(name="xtts", voice="xtts-v2"),
    Family(name="csm", voice="csm-1b"),
    Family(name="cosyvoice2", voice="cosyvoice2-05b"),
)
"""In the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is started.

    Attributes:
        families: that of the default voice first.
        voice: the default one; None when it is whatever the gateway is configured with.
    """

    families: tuple[Family, ...]
    voice: str | None


def choose(named: Sequence[str], voice: str | None) -> Chosen:
    """Those that were named, or else those that start by themselves and the voice's own.

    A voice is taken to be of the family that its name begins with; of the first one that was named, if there is none.

    Raises:
        SettingsInvalid: a family does not exist or is not installed, or the voice is of none of them.
    """
    families = tuple(_installed("--tts", name) for name in dict.fromkeys(named))
    own = voice.partition("-")[0] if voice else None
    if not families:
        first = _installed("voice", own or FAMILIES[0].name)
        return Chosen(
            (first, *(f for f in FAMILIES if f.by_itself and f != first and not f.requirement.missing())), voice
        )
    first = _KNOWN.get(own or "", families[0])
    if first not in families:
        raise SettingsInvalid(f"voice: {voice} needs --tts {first.name}")
    default = voice or (None if first == FAMILIES[0] else first.voice)
    return Chosen((first, *(family for family in families if family != first)), default)


_KNOWN: Final = {family.name: family for family in FAMILIES}


def _installed(setting: str, name: str) -> Family:
    family = _KNOWN.get(name)
    if family is None:
        raise SettingsInvalid(f"{setting}: there is no family of voices {name!r}; there are: {', '.join(_KNOWN)}")
    if missing := family.requirement.missing():
        raise SettingsInvalid(
            f"{setting}: {name} is not installed (missing: {', '.join(missing)}): {family.requirement.advice}"
        )
    return family
