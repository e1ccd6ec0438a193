"""Any message that the types allow, for Hypothesis: read from the fields' declarations."""

import dataclasses
import types
import typing
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt, MaxLen
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from protocol import codec
from protocol.message import Message
from protocol.subjects import Channel

Kind = TypeVar("Kind")
LONGEST = 40
_PRINTABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=LONGEST)
CHANNELS: dict[Channel, list[type[Message]]] = {
    channel: list(get_args(get_args(union)[0])) if get_args(union) else [union]
    for channel, union in codec._UNIONS.items()
}
MESSAGES = [(channel, kind) for channel, kinds in CHANNELS.items() for kind in kinds]


def messages(kind: type[Kind], **fixed: Any) -> st.SearchStrategy[Kind]:
    """Any message of this kind; `fixed` fields have these values."""
    declared: Any = kind
    strategy: st.SearchStrategy[Kind] = _messages(declared, tuple(fixed.items()))
    return strategy


@cache
def _messages(kind: type[Any], fixed: tuple[tuple[str, Any], ...]) -> st.SearchStrategy[Any]:
    """Made once: tests ask for it with every example, and reading the declarations takes longer than the test."""
    return _any_dataclass(kind, {name: st.just(value) for name, value in fixed})


def _any_dataclass(kind: type[Kind], given: dict[str, st.SearchStrategy[Any]] | None = None) -> st.SearchStrategy[Kind]:
    hints = typing.get_type_hints(kind, include_extras=True)
    declared: Any = kind
    fields = {field.name: _any(hints[field.name]) for field in dataclasses.fields(declared)}
    return st.builds(kind, **{**fields, **(given or {})})


def _any(hint: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _any_constrained(args[0], args[1:])
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if arg is type(None) else _any(arg) for arg in args])
    if origin in (tuple, dict):
        return st.lists(_any(args[0]), max_size=3).map(tuple) if origin is tuple else _any_dictionary(*args)
    if dataclasses.is_dataclass(hint):
        return _any_dataclass(typing.cast("type[Any]", hint))
    return _any_constrained(hint, ())


def _any_dictionary(key: Any, value: Any) -> st.SearchStrategy[dict[Any, Any]]:
    return st.dictionaries(_any(key), _any(value), max_size=3)


def _any_constrained(hint: Any, notes: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    constraints = [c for note in notes for c in (note.metadata if isinstance(note, FieldInfo) else [note])]
    base = hint
    while hasattr(base, "__supertype__"):
        base = base.__supertype__
    if base is bool:
        return st.booleans()
    if base is str:
        return _any_text(constraints)
    low, high = _bounds(constraints)
    if base is int:
        return st.integers(low if low is not None else 0, high if high is not None else 2**53)
    if base is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    return _any(base)


def _any_text(constraints: list[Any]) -> st.SearchStrategy[str]:
    patterns = [p for c in constraints if (p := getattr(c, "pattern", None))]
    if patterns:
        return _matching(patterns[0])
    bounds = [c.max_length for c in constraints if isinstance(c, MaxLen)]
    longest = min(bounds, default=LONGEST)
    return _PRINTABLE.map(lambda text: text[:longest])


@cache
def _matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


def _bounds(constraints: list[Any]) -> tuple[Any, Any]:
    low: Any = None
    high: Any = None
    for one in constraints:
        low = one.ge if isinstance(one, Ge) else low
        high = one.le if isinstance(one, Le) else high
        high = int(str(one.lt)) - 1 if isinstance(one, Lt) else high
        if isinstance(one, Gt | Interval):
            raise NotImplementedError(one)
    return low, high


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
