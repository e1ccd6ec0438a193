"""Voice packs: `<family>/<name>/metadata.yaml` says what a model is and where its weights come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from protocol.errors import ModelUnavailable
from protocol.ids import ModelField, ModelId
from protocol.message import Language

METADATA: Final = "metadata.yaml"
_HERE: Final = Path(__file__).resolve().parent
_PLACES: Final = (_HERE.parent / "voicepacks", _HERE / "voicepacks_data")
"""In a checkout, and in an installed distribution."""

_Tag = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]


def _stays_inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path within the package is wanted")
    return path


_Inside = Annotated[str, Field(pattern=r"^[\w./-]+$"), AfterValidator(_stays_inside)]


class Source(BaseModel):
    """A Python package that carries the weights.

    Attributes:
        package: its import name.
        distribution: what to install when it is missing.
        voice: which of the package's voices, if it has names for them.
        weights, config: files within the package, if the adapter needs paths.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    distribution: str
    voice: str | None = None
    weights: _Inside | None = None
    config: _Inside | None = None

    def folder(self) -> Path:
        """Where the package lies.

        Raises:
            ModelUnavailable: it is not installed.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise ModelUnavailable(f"the package {self.package} is missing: install {self.distribution}")
        return Path(spec.origin).parent

    def file(self, name: str | None) -> Path:
        """A file of the package.

        Raises:
            ModelUnavailable: the package or the file is missing.
        """
        path = self.folder() / (name or "")
        if not path.is_file():
            raise ModelUnavailable(f"{path.name} is missing from {self.package}: reinstall {self.distribution}")
        return path


class VoicePack(BaseModel):
    """One model."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    family: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]
    model_id: ModelField
    title: str
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)]
    tags: tuple[_Tag, ...] = ()
    licence: str
    memory_mb: Annotated[int, Field(ge=1)]
    """Estimated, of the loaded model."""
    source: Source


@dataclass(frozen=True, slots=True)
class BrokenPack:
    """A pack that is passed over."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Packs:
    """What was found."""

    good: tuple[VoicePack, ...]
    broken: tuple[BrokenPack, ...]

    def of(self, family: str, *, first: ModelId | None = None) -> tuple[VoicePack, ...]:
        """A family's packs, by name, the one called `first` before the others."""
        return tuple(
            sorted((p for p in self.good if p.family == family), key=lambda p: (p.model_id != first, p.model_id))
        )


def find_packs(folder: Path | None = None) -> Packs:
    """All packs of a folder, or else of this checkout or distribution. Broken ones are named, the rest works."""
    good: dict[ModelId, VoicePack] = {}
    broken: list[BrokenPack] = []
    for path in _metadata(folder):
        name = f"{path.parent.parent.name}/{path.parent.name}"
        try:
            pack = _read(path)
        except (OSError, ValueError, yaml.YAMLError) as error:
            broken.append(BrokenPack(name, _summary(error)))
            continue
        if pack.model_id in good:
            broken.append(BrokenPack(name, f"another pack is called {pack.model_id}"))
        else:
            good[pack.model_id] = pack
    return Packs(tuple(good.values()), tuple(broken))


def _metadata(folder: Path | None) -> Iterator[Path]:
    places = (folder,) if folder is not None else _PLACES
    place = next((p for p in places if p.is_dir()), None)
    return iter(sorted(place.glob(f"*/*/{METADATA}"))) if place is not None else iter(())


def _read(path: Path) -> VoicePack:
    pack = VoicePack.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    if pack.family != path.parent.parent.name:
        raise ValueError(f"its family is {pack.family}, but it lies in {path.parent.parent.name}/")
    return pack


def _summary(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or METADATA}: {e['msg']}" for e in error.errors()[:5])
    return f"{type(error).__name__}: {error}"
