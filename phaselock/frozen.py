"""Immutable values with named fields.

`frozen` does what `dataclasses.dataclass(frozen=True, slots=True)` does, and what it makes is a dataclass for
`dataclasses.replace`, `fields` and `asdict` too. But it compiles nothing: all these classes share their methods. There
are hundreds of them, and methods of their own take 10 KB for each class and half of the time in which PhaseLock starts.
The modules copy and pickle cannot copy such a value: they set its fields.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

_Kind = TypeVar("_Kind", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(kind: _Kind) -> _Kind:
    """Make the class one of immutable values. Of __eq__, __hash__ and __repr__, those that it defines itself stay."""
    own = set(kind.__dict__)
    kind.__doc__ = kind.__doc__ or kind.__name__  # dataclasses would inspect the class to write one
    made: Any = _with_slots(kind)
    fields = dataclasses.fields(made)
    names = tuple(field.name for field in fields)
    made._frozen_names = made.__match_args__ if names == made.__match_args__ else names
    made._frozen_values = _reader(tuple(field.name for field in fields if field.compare))
    for name, method in _METHODS.items():
        if name not in own:
            setattr(made, name, method)
    if hasattr(made, "__post_init__"):
        made.__init__ = _init_and_check
    kept: _Kind = made
    return kept


_set = object.__setattr__
_with_slots = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that returns the values of these fields."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _init(self: Any, *values: Any, **given: Any) -> None:
    kind = type(self)
    all_names, names = kind._frozen_names, kind.__match_args__
    if len(values) == len(all_names) == len(names) and not given:
        for name, value in zip(names, values, strict=True):
            _set(self, name, value)
        return
    if values:
        if len(values) > len(names) or not given.keys().isdisjoint(names[: len(values)]):
            raise TypeError(f"{kind.__name__} has too many values")
        given.update(zip(names, values, strict=False))
    if len(given) < len(all_names):
        for name in all_names:
            if name not in given:
                given[name] = _default(kind, name)
    for name, value in given.items():
        if name not in all_names:
            raise TypeError(f"{kind.__name__} has no {name}")
        _set(self, name, value)


def _init_and_check(self: Any, *values: Any, **given: Any) -> None:
    _init(self, *values, **given)
    self.__post_init__()


def _default(kind: Any, name: str) -> Any:
    field = kind.__dataclass_fields__[name]
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is dataclasses.MISSING:
        raise TypeError(f"{kind.__name__} needs {name}")
    return field.default_factory()


def _eq(self: Any, other: Any) -> Any:
    kind = type(self)
    return kind._frozen_values(self) == kind._frozen_values(other) if type(other) is kind else NotImplemented


def _hash(self: Any) -> int:
    return hash(type(self)._frozen_values(self))


def _repr(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse(_self: object, name: str, *_value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"{name} cannot change")


_METHODS: dict[str, Callable[..., Any]] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
