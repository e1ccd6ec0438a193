"""What `antiphon voices` does: lists, pulls, verifies and begins voice packs."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actors.bootstrap.packs import all_packs
from actors.settings import WorkerSettings
from adapters.tts.loading import FAMILIES
from adapters.voicepacks import BrokenPack, FilesSource, HubSource, PackageSource, Packs, VoicePack, default_user_folder
from adapters.voicepacks.hub import Hub
from adapters.voicepacks.pulling import OnProgress
from adapters.voicepacks.pulling import pull as pull_pack
from adapters.voicepacks.template import new_pack
from adapters.voicepacks.verifying import Verified
from adapters.voicepacks.verifying import verify as verify_pack
from protocol.errors import SettingsInvalid

__all__ = ["BrokenPack", "ListedVoice", "Verified", "Voices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVoice:
    """A pack, as a person or a program wants to see it.

    Attributes:
        size: of its files in bytes, as far as it is known.
        where: a package, a hub's repository, or a folder.
        present: whether its weights are here.
        usable: whether a worker could speak with it now.
        problem: why not, and what to do about it.
    """

    model: str
    name: str
    title: str
    family: str
    languages: tuple[str, ...]
    sample_rate: int
    tags: tuple[str, ...]
    licence: str
    licence_url: str | None
    licence_note: str
    non_free: bool
    memory_mb: int
    size: int | None
    where: str
    home: str
    present: bool
    usable: bool
    problem: str


class Voices:
    """The packs that the settings lead to."""

    def __init__(self, settings: WorkerSettings, *, endpoint: str | None = None) -> None:
        """`endpoint` is the hub's; that of `HF_ENDPOINT`, or else the public one, if None."""
        self._settings = settings
        self._packs: Packs = all_packs(settings)
        self._hub = Hub(endpoint)

    @property
    def broken(self) -> Sequence[BrokenPack]:
        """Those that are passed over."""
        return self._packs.broken

    def listed(self) -> list[ListedVoice]:
        """All, by family and model."""
        return [_listed(pack) for pack in sorted(self._packs.good, key=lambda p: (p.family, p.model_id))]

    def one(self, name: str) -> ListedVoice:
        """By its model's id, or by family and folder.

        Raises:
            SettingsInvalid: there is none.
        """
        return _listed(self._get(name))

    def pull(self, name: str, on_progress: OnProgress) -> bool:
        """Fetch what is missing or wrong; False when nothing was. Takes as long as it takes.

        Raises:
            SettingsInvalid: there is no such pack.
            DownloadFailed: with the reason.
        """
        return asyncio.run(pull_pack(self._get(name), self._hub, on_progress=on_progress))

    def verify(self, name: str) -> Iterable[Verified]:
        """Each file of a pack.

        Raises:
            SettingsInvalid: there is no such pack.
        """
        return verify_pack(self._get(name))

    def new(self, family: str, name: str) -> str:
        """Begin a pack in the user's folder; returns the new folder.

        Raises:
            SettingsInvalid: it exists already, or no adapter knows the family.
        """
        if family not in FAMILIES:
            raise SettingsInvalid(f"there is no family of voices {family!r}; there are: {', '.join(FAMILIES)}")
        return str(new_pack(self._settings.voicepacks_dir or default_user_folder(), family, name))

    def _get(self, name: str) -> VoicePack:
        pack = self._packs.get(name)
        if pack is not None:
            return pack
        for broken in self._packs.broken:
            if broken.name == name:
                raise SettingsInvalid(f"the pack {name} is broken: {broken.reason}")
        known = ", ".join(sorted(pack.model_id for pack in self._packs.good))
        raise SettingsInvalid(f"there is no voice {name}; there are: {known}")


def _listed(pack: VoicePack) -> ListedVoice:
    absent = pack.why_absent()
    unknown = "" if pack.family in FAMILIES else f"needs an adapter of family {pack.family}"
    return ListedVoice(
        model=pack.model_id,
        name=pack.name,
        title=pack.title,
        family=pack.family,
        languages=pack.languages,
        sample_rate=pack.sample_rate,
        tags=pack.tags,
        licence=pack.licence,
        licence_url=pack.licence_url,
        licence_note=pack.licence_note,
        non_free=pack.non_free,
        memory_mb=pack.memory_mb,
        size=_size(pack),
        where=_where(pack),
        home=str(pack.home),
        present=not absent,
        usable=not (absent or unknown),
        problem=unknown or absent,
    )


def _where(pack: VoicePack) -> str:
    match pack.source:
        case PackageSource() as package:
            return f"package {package.package}"
        case HubSource() as hub:
            return f"hub {hub.hub}"
        case FilesSource():
            return f"folder {pack.home}"


def _size(pack: VoicePack) -> int | None:
    """Of the files that are here, or else as the pack states it."""
    sizes = [file.path.stat().st_size if file.path.is_file() else file.size for file in pack.files()]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None
