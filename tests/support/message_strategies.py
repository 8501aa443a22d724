"""Hypothesis strategies for every message, derived from the declared types and bounds."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Annotated, Any
from uuid import UUID

from hypothesis import strategies as st

from phaselock.model.bounds import Size, Within
from phaselock.protocol.messages import TYPE_OF, Message


def of_type(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of this type that the codec must accept."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _bounded(args[0], args[1])
    if origin in (types.UnionType, typing.Union):
        return st.none() | of_type(args[0])
    if origin is typing.Literal:
        return st.sampled_from(args)
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation, include_extras=True)
        fields = dataclasses.fields(annotation)
        return st.builds(annotation, **{field.name: of_type(hints[field.name]) for field in fields})
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return st.sampled_from(annotation)
    return {bool: st.booleans(), UUID: st.uuids()}[annotation]


def _bounded(kind: Any, bound: Within | Size) -> st.SearchStrategy[Any]:
    if kind is int:
        return st.integers(int(bound.low), int(bound.high))
    if kind is float:
        return st.floats(bound.low, bound.high)
    if kind is bytes:
        return st.binary(min_size=int(bound.low), max_size=min(int(bound.high), 200))
    if kind is str:
        texts = st.text(min_size=int(bound.low), max_size=int(bound.high))
        return texts.filter(lambda text: len(text.encode()) <= bound.high)
    low = int(bound.low)
    return st.lists(of_type(typing.get_args(kind)[0]), min_size=low, max_size=min(int(bound.high), low + 3)).map(tuple)


MESSAGES: st.SearchStrategy[Message] = st.one_of([of_type(kind) for kind in TYPE_OF])
