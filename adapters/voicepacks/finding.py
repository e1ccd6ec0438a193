"""Looks for packs in the folders where they may be. A broken one is named, the rest works."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from adapters.voicepacks import places
from adapters.voicepacks.metadata import VoicePack
from adapters.voicepacks.seed import check_seed
from adapters.voicepacks.sources import PackageSource
from protocol.ids import ModelId

METADATA: Final = "metadata.yaml"


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
        """A family's packs: the one called `first`, then those that come with a package, then the others; by name."""

        def rank(pack: VoicePack) -> tuple[bool, bool, str]:
            return pack.model_id != first, not isinstance(pack.source, PackageSource), pack.model_id

        return tuple(sorted((pack for pack in self.good if pack.family == family), key=rank))

    def get(self, name: str) -> VoicePack | None:
        """By its model's id, or by family and folder."""
        return next((pack for pack in self.good if name in (pack.model_id, pack.name)), None)


def find_packs(folder: Path | None = None, *, user: Path | None = None, cache: Path | None = None) -> Packs:
    """All packs of a folder alone, or else the user's and those of this checkout or distribution.

    Args:
        folder: to look into, and nowhere else.
        user: the user's own packs; the default place if None. One of them hides one of ours with the same model id.
        cache: where pulled weights are; the default place if None.
    """
    cache = cache or places.default_cache()
    if folder is not None:
        return _complete(_read_all(folder, cache))
    own = _read_all(user or places.default_user_folder(), cache)
    ours = _read_all(next((place for place in places.BUILT_IN if place.is_dir()), Path()), cache)
    hidden = {pack.model_id for pack in own.good}
    shown = tuple(pack for pack in ours.good if pack.model_id not in hidden)
    return _complete(Packs((*own.good, *shown), (*own.broken, *ours.broken)))


def _read_all(folder: Path, cache: Path) -> Packs:
    good: dict[ModelId, VoicePack] = {}
    broken: list[BrokenPack] = []
    for path in _metadata(folder):
        name = f"{path.parent.parent.name}/{path.parent.name}"
        try:
            pack = _read(path, cache)
        except (OSError, ValueError, yaml.YAMLError) as error:
            broken.append(BrokenPack(name, _summary(error)))
            continue
        if pack.model_id in good:
            broken.append(BrokenPack(name, f"another pack is called {pack.model_id}"))
        else:
            good[pack.model_id] = pack
    return Packs(tuple(good.values()), tuple(broken))


def _complete(packs: Packs) -> Packs:
    """Without those whose base is nowhere."""
    known = {pack.model_id for pack in packs.good if pack.base is None}
    orphans = [pack for pack in packs.good if pack.base is not None and pack.base not in known]
    if not orphans:
        return packs
    reasons = tuple(BrokenPack(pack.name, f"base: there is no model {pack.base}") for pack in orphans)
    return replace(packs, good=tuple(p for p in packs.good if p not in orphans), broken=(*packs.broken, *reasons))


def _metadata(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob(f"*/*/{METADATA}"))) if folder.is_dir() else iter(())


def _read(path: Path, cache: Path) -> VoicePack:
    pack = VoicePack.at(path.parent, yaml.safe_load(path.read_text(encoding="utf-8")), cache=cache)
    if pack.family != path.parent.parent.name:
        raise ValueError(f"its family is {pack.family}, but it lies in {path.parent.parent.name}/")
    if pack.reference is not None:
        check_seed(path.parent / pack.reference.audio, pack.reference.audio)
    return pack


def _summary(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or METADATA}: {e['msg']}" for e in error.errors()[:5])
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
