"""Where settings come from: a YAML file, overridden by `ANTIPHON_*` variables, overridden by flags."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from protocol.errors import SettingsInvalid

PREFIX: Final = "ANTIPHON_"
_OF_COMMANDS: Final = frozenset({"ANTIPHON_KEY", "ANTIPHON_URL", "ANTIPHON_DATA_DIR", "ANTIPHON_DEBUG"})
"""Variables of the command line's own, which are no settings of a part."""
SettingsT = TypeVar("SettingsT", bound=BaseModel)
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value, and where it was given: what to name when it is wrong."""

    value: Any
    origin: str


def load(
    kind: type[SettingsT],
    *,
    file: Path | None = None,
    default_file: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
) -> SettingsT:
    """Settings of this kind from all sources.

    Args:
        kind: the model to fill.
        file: must exist.
        default_file: read if it exists and no `file` was named.
        environ: of the process.
        flags: by dotted key (`nats.url`); None values were not given.

    Raises:
        SettingsInvalid: names the key, and the file, variable or flag where it stands.
    """
    given: dict[Key, _Given] = {}
    if file is not None or (default_file is not None and default_file.is_file()):
        given.update(_of_file(kind, file or Path(str(default_file))))
    given.update(_of_environment(kind, environ))
    for dotted, value in (flags or {}).items():
        if value is not None:
            given[tuple(dotted.split("."))] = _Given(value, "--" + dotted.replace(".", "-").replace("_", "-"))
    try:
        return kind.model_validate(_nested(given))
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, given)) from error


def variable(key: Key) -> str:
    """The environment variable of a key."""
    return PREFIX + "_".join(key).upper()


def keys(kind: type[BaseModel]) -> Iterator[tuple[Key, Any]]:
    """Each key of a model with the type of its value, sections entered."""
    for name, info in kind.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for key, inner in keys(annotation):
                yield (name, *key), inner
        else:
            yield (name,), annotation


def _of_file(kind: type[BaseModel], file: Path) -> dict[Key, _Given]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{file.name}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file.name}: is no YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsInvalid(f"{file.name}: must hold keys and values")
    known = {key for key, _ in keys(kind)}
    sections = {key[:n] for key in known for n in range(1, len(key))}
    found: dict[Key, _Given] = {}
    for key, value in _leaves(content, sections):
        if key not in known:
            raise SettingsInvalid(f"{file.name}: {_no_such(key, known, sections)}")
        found[key] = _Given(value, file.name)
    return found


def _leaves(content: Mapping[Any, Any], sections: set[Key], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in content.items():
        key = (*above, str(name))
        if key in sections and isinstance(value, dict):
            yield from _leaves(value, sections, key)
        elif not (key in sections and value is None):  # a section that is left empty
            yield key, value


def _no_such(key: Key, known: set[Key], sections: set[Key]) -> str:
    dotted = ".".join(key)
    if key in sections:
        return f"{dotted}: is a section, with keys of its own"
    close = difflib.get_close_matches(dotted, [".".join(k) for k in known], n=1)
    return f"{dotted}: there is no such key" + (f"; did you mean {close[0]}?" if close else "")


def _of_environment(kind: type[BaseModel], environ: Mapping[str, str]) -> dict[Key, _Given]:
    found: dict[Key, _Given] = {}
    for key, annotation in keys(kind):
        text = environ.get(variable(key))
        if text is not None:
            value = [part.strip() for part in text.split(",") if part.strip()] if _is_list(annotation) else text
            found[key] = _Given(value, variable(key))
    return found


def misspelt(kinds: Sequence[type[BaseModel]], environ: Mapping[str, str]) -> list[str]:
    """A complaint for each `ANTIPHON_*` variable that is none of ours but looks like one."""
    known = {variable(key) for kind in kinds for key, _ in keys(kind)} | _OF_COMMANDS
    complaints = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if close:
                complaints.append(f"{name}: there is no such setting; did you mean {close[0]}?")
    return complaints


def _is_list(annotation: Any) -> bool:
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return any(typing.get_origin(option) is tuple for option in options)


def _nested(given: Mapping[Key, _Given]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key, found in given.items():
        place = whole
        for section in key[:-1]:
            place = place.setdefault(section, {})
        place[key[-1]] = found.value
    return whole


def _explain(error: ValidationError, given: Mapping[Key, _Given]) -> str:
    """All that is wrong, without the values: one of them may be a key."""
    complaints = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        where = tuple(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        complaints.append(f"{_origin(where, given)}: {'.'.join(where)}: {message[:1].lower()}{message[1:]}")
    return "; ".join(complaints)


def _origin(where: Key, given: Mapping[Key, _Given]) -> str:
    """Who gave the value at `where`, or one of the values of that section."""
    of_value = [found.origin for key, found in given.items() if where[: len(key)] == key]
    of_section = [found.origin for key, found in given.items() if key[: len(where)] == where]
    return next(iter((*of_value, *of_section)), "defaults")
