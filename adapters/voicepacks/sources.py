"""Where a pack's weights come from: its own folder, a Python package, or a commit of a model hub's repository."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from protocol.errors import ModelUnavailable


def _stays_inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path that stays within the source is wanted")
    return path


Inside = Annotated[str, Field(pattern=r"^[\w./+-]+$"), AfterValidator(_stays_inside)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Role = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
_Import = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
_MAX_BYTES: Final = 2**40


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Located:
    """One file of a pack, there or not.

    Attributes:
        name: its path within the source.
        path: on this machine.
        role: what the family's adapter calls it.
        sha256, size: as the pack states them.
    """

    name: str
    path: Path
    role: str | None = None
    sha256: str | None = None
    size: int | None = None


class SourceFile(_Part):
    """A file of a folder or of a hub's repository; `as` is what the family's adapter calls it."""

    path: Inside
    role: _Role | None = Field(default=None, alias="as")
    sha256: _Sha256 | None = None
    size: Annotated[int, Field(ge=0, le=_MAX_BYTES)] | None = None

    def located(self, folder: Path) -> Located:
        """Within a folder."""
        return Located(self.path, folder / self.path, self.role, self.sha256, self.size)


class PackageSource(_Part):
    """A Python package that carries the weights.

    Attributes:
        package: its import name.
        distribution: what to install when it is missing.
        also: further packages without which it is of no use.
        voice: which of the package's voices, if it has names for them.
        weights, config: files within the package, if the adapter needs paths.
    """

    package: _Import
    distribution: str
    also: tuple[_Import, ...] = ()
    voice: str | None = None
    weights: Inside | None = None
    config: Inside | None = None

    def folder(self) -> Path:
        """Where the package lies.

        Raises:
            ModelUnavailable: it is not installed, or one that it needs is not.
        """
        for package in self.also:
            self._origin(package)
        return self._origin(self.package).parent

    def folders(self) -> tuple[Path, ...]:
        """Of this package and of those that it needs.

        Raises:
            ModelUnavailable: as `folder`.
        """
        return tuple(self._origin(package).parent for package in (self.package, *self.also))

    def _origin(self, package: str) -> Path:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModelUnavailable(f"the package {package} is missing: install {self.distribution}", fault="missing")
        return Path(spec.origin)

    def file(self, name: str | None) -> Path:
        """A file of the package.

        Raises:
            ModelUnavailable: the package or the file is missing.
        """
        path = self.folder() / (name or "")
        if not path.is_file():
            raise ModelUnavailable(
                f"{path.name} is missing from {self.package}: reinstall {self.distribution}", fault="missing"
            )
        return path

    def located(self) -> tuple[Located, ...]:
        """The files that are named, there or not; none when the package is missing."""
        named = (("weights", self.weights), ("config", self.config))
        try:
            folder = self.folder()
        except ModelUnavailable:
            return ()
        return tuple(Located(path, folder / path, role) for role, path in named if path is not None)


class _WithFiles(_Part):
    files: Annotated[tuple[SourceFile, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> "_WithFiles":
        paths = [file.path for file in self.files]
        roles = [file.role for file in self.files if file.role is not None]
        for what, values in (("path", paths), ("role", roles)):
            if twice := {value for value in values if values.count(value) > 1}:
                raise ValueError(f"the same {what} twice: {', '.join(sorted(twice))}")
        return self


class FilesSource(_WithFiles):
    """Files that lie in the pack's folder."""


class HubSource(_WithFiles):
    """Files of one commit of a repository on a model hub.

    Attributes:
        hub: the repository, `owner/name`.
        revision: the commit, so that what is pulled never changes.
        gated: whether its owner must let one in first.
    """

    hub: Annotated[str, Field(pattern=r"^[\w.-]{1,96}/[\w.-]{1,96}$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    gated: bool = False

    def folder(self, cache: Path) -> Path:
        """Where they lie once they were pulled; packs of one commit share them."""
        return cache / "hub" / self.hub.replace("/", "--") / self.revision

    @property
    def size(self) -> int | None:
        """Of all files, in bytes, if the pack states each one's."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def _kind(source: Any) -> str | None:
    """By the key that only this kind of source has."""
    if isinstance(source, _Part):
        return {PackageSource: "package", HubSource: "hub"}.get(type(source), "files")
    keys = source if isinstance(source, dict) else {}
    return next((kind for kind in ("package", "hub", "files") if kind in keys), None)


Source = Annotated[
    Annotated[PackageSource, Tag("package")] | Annotated[HubSource, Tag("hub")] | Annotated[FilesSource, Tag("files")],
    Discriminator(
        _kind, custom_error_type="no_source", custom_error_message="a package, a hub or files are wanted as source"
    ),
]
