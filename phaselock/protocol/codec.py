"""Encode and decode messages. `decode` checks all data from the network against the declared types and bounds; no
other code checks them."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import msgpack

from phaselock.model.bounds import Size, Within
from phaselock.protocol.messages import TYPE_OF, Message


class ProtocolError(Exception):
    """The other side broke the protocol. The text is for the log."""


_BUFFER_BYTES = 16 * 1024
"""Room for a message at first: that of most pieces of a file. For the default, 256 KiB, malloc maps new memory each
time."""

_Check = Callable[[Any], Any]
"""Function from the value on the wire to the value of the field; raises ValueError or TypeError."""


def encode(message: Message) -> bytes:
    """Return the type byte and the payload (msgpack) of a message.

    Bounds are not checked here: `decode` checks them on the other side, and the tests check every message they send.
    KeyError if the class is no message; ValueError or OverflowError if a value has no encoding.
    """
    payload: bytes = msgpack.packb(message, default=_plain, use_bin_type=True, buf_size=_BUFFER_BYTES)
    return bytes((TYPE_OF[type(message)],)) + payload


def decode(kind: int, payload: bytes | memoryview) -> Message:
    """The message with this type byte and payload. ProtocolError if they are no valid message."""
    try:
        read = _fields(_KINDS[kind])
    except KeyError:
        raise ProtocolError(f"unknown message type {kind}") from None
    try:
        return typing.cast("Message", read(msgpack.unpackb(payload, raw=False, use_list=False, strict_map_key=True)))
    except Exception as error:  # msgpack raises undocumented types, and RecursionError
        raise ProtocolError(f"malformed message of type {kind}: {error}") from None


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return value.bytes
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise ValueError(f"{type(value).__name__} does not travel")


def _reader(annotation: Any) -> _Check:
    """The check for a field's declared type. TypeError if this codec does not support the declaration."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _bounded(_reader(args[0]), *args[1:])
    if origin in (types.UnionType, typing.Union) and len(args) == 2 and args[1] is type(None):
        return _optional(_reader(args[0]))
    if origin is typing.Literal:
        return _one_of(args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _each(_reader(args[0]))
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _fields(annotation)
    if annotation is UUID:
        return lambda value: UUID(bytes=_exactly(bytes)(value))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return lambda value: annotation(_exactly(str)(value))
    if annotation in (bool, int, float, str, bytes):
        return _exactly(annotation)
    raise TypeError(f"no field may be a {annotation}")


def _exactly(kind: type) -> _Check:
    # Not isinstance: in Python True is an int, and an extension type of msgpack is a tuple.
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
        return value

    return read


def _one_of(texts: tuple[str, ...]) -> _Check:
    def read(value: Any) -> Any:
        if _exactly(str)(value) not in texts:
            raise ValueError(f"no one of {len(texts)} known words")
        return value

    return read


def _bounded(read: _Check, bound: Within | Size) -> _Check:
    def read_bounded(value: Any) -> Any:
        value = read(value)
        measure = value if isinstance(bound, Within) else len(value.encode() if isinstance(value, str) else value)
        if not bound.low <= measure <= bound.high:  # False for a NaN
            raise ValueError(f"{measure} is not within {bound.low} and {bound.high}")
        return value

    return read_bounded


def _optional(read: _Check) -> _Check:
    return lambda value: None if value is None else read(value)


def _each(read: _Check) -> _Check:
    return lambda value: tuple(read(item) for item in _exactly(tuple)(value))


@functools.cache
def _fields(kind: type) -> _Check:
    """Made when the first message of the kind comes: no machine receives all kinds."""
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}

    def read(value: Any) -> Any:
        unknown = _exactly(dict)(value).keys() - readers.keys()
        if unknown:
            raise ValueError(f"{len(unknown)} unknown fields")
        try:
            return kind(**{name: readers[name](item) for name, item in value.items()})
        except ValueError as error:
            raise ValueError(f"{kind.__name__}: {error}") from None

    return read


_KINDS: dict[int, type] = {number: kind for kind, number in TYPE_OF.items()}
