"""What `metadata.yaml` says of one model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from adapters.voicepacks.places import default_cache
from adapters.voicepacks.sources import FilesSource, HubSource, Inside, Located, PackageSource, Source
from protocol.errors import ModelUnavailable
from protocol.ids import ModelField
from protocol.message import Language

_Tag = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
_Option = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_Line = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    home: Path
    cache: Path


class SeedAudio(BaseModel):
    """The voice that a cloning model speaks with if nobody gives it another: a recording, and what is said in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audio: Inside = "ref/seed.wav"
    text: Annotated[str, Field(min_length=1, max_length=1_000)]


class VoicePack(BaseModel):
    """One model.

    Attributes:
        licence: an SPDX name, or the name that the model's card gives it.
        licence_url, licence_note: where it stands, and what to know of it.
        non_free: it forbids something (commerce, for one), or nobody says what it permits: to be accepted first.
        memory_mb: estimated, of the loaded model.
        default_voice: which of its voices a model of several speaks with.
        options: for the family's adapter.
        base: the model that this one is an adapter of.
        reference: what a cloning model imitates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    family: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]
    model_id: ModelField
    title: _Line
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)]
    tags: tuple[_Tag, ...] = ()
    licence: _Line
    licence_url: Annotated[str, Field(pattern=r"^https://\S{1,300}$")] | None = None
    licence_note: Annotated[str, Field(max_length=500)] = ""
    non_free: bool = False
    memory_mb: Annotated[int, Field(ge=1)]
    default_voice: _Line | None = None
    options: dict[_Option, bool | int | float | str] = Field(default_factory=dict)
    base: ModelField | None = None
    reference: SeedAudio | None = None
    source: Source

    _home: Path = PrivateAttr(default_factory=Path)
    _cache: Path = PrivateAttr(default_factory=default_cache)

    @classmethod
    def at(cls, home: Path, content: Any, *, cache: Path) -> Self:
        """The pack of a folder, from what its metadata holds.

        Raises:
            ValidationError: it is no pack.
        """
        return cls.model_validate(content, context=_Surroundings(home, cache))

    def model_post_init(self, context: Any) -> None:
        """Pydantic calls this once the content is validated."""
        if isinstance(context, _Surroundings):
            self._home, self._cache = context.home, context.cache

    @property
    def home(self) -> Path:
        """The folder that its metadata lies in."""
        return self._home

    @property
    def name(self) -> str:
        """As a person finds it: family and folder."""
        return f"{self._home.parent.name}/{self._home.name}"

    @property
    def cache(self) -> Path:
        """Where pulled weights and what is made of them is kept."""
        return self._cache

    @property
    def voice(self) -> str | None:
        """Which of the model's voices, if it has several."""
        return self.default_voice or (self.source.voice if isinstance(self.source, PackageSource) else None)

    def folder(self) -> Path:
        """Where its weights are, or will be once they are pulled.

        Raises:
            ModelUnavailable: the package that carries them is missing.
        """
        match self.source:
            case HubSource() as hub:
                return hub.folder(self._cache)
            case FilesSource():
                return self._home
            case PackageSource() as package:
                return package.folder()

    def files(self) -> tuple[Located, ...]:
        """All that its metadata names, there or not."""
        if isinstance(self.source, PackageSource):
            return self.source.located()
        folder = self.folder()
        return tuple(file.located(folder) for file in self.source.files)

    def file(self, role: str) -> Path:
        """The file that the adapter calls so.

        Raises:
            ModelUnavailable: it is missing, or the pack names none.
        """
        if reason := self.why_absent():
            raise ModelUnavailable(f"{self.model_id}: {reason}", fault="missing")
        for file in self.files():
            if file.role == role:
                return file.path
        raise ModelUnavailable(f"{self.model_id}: its metadata names no file as {role}")

    def is_present(self) -> bool:
        """Whether its weights are here, as far as can be told without reading them."""
        return not self.why_absent()

    def why_absent(self) -> str:
        """What is missing and what to do about it; empty when nothing is."""
        try:
            self.folder()
        except ModelUnavailable as error:
            return str(error)
        for file in self.files():
            if not file.path.is_file():
                return self._absent(file, "is missing")
            if file.size is not None and (size := file.path.stat().st_size) != file.size:
                return self._absent(file, f"has {size} bytes instead of {file.size}")
        return ""

    def _absent(self, file: Located, what: str) -> str:
        match self.source:
            case HubSource():
                return f"not pulled: antiphon voices pull {self.model_id}"
            case PackageSource() as package:
                return f"{file.path.name} {what} in {package.package}: reinstall {package.distribution}"
            case FilesSource():
                return f"{file.name} {what} in the pack's folder"
