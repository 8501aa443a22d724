"""The messages of the page: a small list of its own. Guests are not peers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.names import FILE_BYTES

VERSION = 1
MAX_MESSAGE_BYTES = 4096
_MAX_TEXT_CHARS = 500
_MAX_NUMBER = 1 << 53
"""Integers of JavaScript are exact up to here."""


class PageError(Exception):
    """The page has sent something that it must not send. The text is for the log and the page's developer."""


@frozen
class Hello:
    token: str
    name: str
    language: str


@frozen
class Name:
    name: str


@frozen
class Search:
    search: int | str
    """Chosen by the page; the answer repeats it."""
    text: str


@frozen
class AskFound:
    """Ask for a song of the library."""

    request: UUID
    song: int


@frozen
class AskUpload:
    """Ask for a song that the page uploads."""

    request: UUID
    file_name: str
    size: int


@frozen
class Withdraw:
    request: UUID


@frozen
class Vote:
    song: UUID
    wanted: bool


@frozen
class Skip:
    song: UUID
    wanted: bool


@frozen
class Say:
    text: str


@frozen
class Here:
    """A person looks at the page."""


@frozen
class Ping:
    t0: float
    """Time of the page, which the answer repeats."""


@frozen
class Listen:
    on: bool
    uncertainty_ns: int | None
    by_ear: bool
    """The user has just set by ear when the phone plays."""


PageMessage: TypeAlias = (
    Hello | Name | Search | AskFound | AskUpload | Withdraw | Vote | Skip | Say | Here | Ping | Listen
)


def read(text: str) -> PageMessage:
    """The message in this text. PageError if there is none."""
    fields = read_object(text)
    kind = fields.get("type")
    if kind == "ask":
        kind = "ask found" if "song" in fields else "ask upload"
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise PageError("a message of no known type")
    return reader(fields)


def read_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in this text. PageError if there is none."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise PageError("no JSON") from None
    if not isinstance(fields, dict):
        raise PageError("no JSON object")
    return fields


def text_of(fields: dict[str, Any], name: str, most: int = _MAX_TEXT_CHARS) -> str:
    """A field that is a text; empty if it is missing. PageError if it is something else, or longer."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise PageError(f"{name} is no text, or too long")
    return value.encode("utf-8", "replace").decode()  # without lone surrogates


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise PageError(f"{name} is not true or false")
    return value


def _integer(fields: dict[str, Any], name: str, low: int, high: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise PageError(f"{name} is no integer from {low} to {high}")
    return value


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _MAX_NUMBER:
        raise PageError(f"{name} is no number")
    return value


def _id(fields: dict[str, Any], name: str) -> UUID:
    try:
        return UUID(text_of(fields, name, 36))
    except ValueError:
        raise PageError(f"{name} is no UUID") from None


def _search(fields: dict[str, Any]) -> Search:
    number = fields.get("search")
    if isinstance(number, str):
        return Search(text_of(fields, "search", 36), text_of(fields, "text"))
    return Search(_integer(fields, "search", 0, _MAX_NUMBER), text_of(fields, "text"))


def _listen(fields: dict[str, Any]) -> Listen:
    by_ear = "by_ear" in fields and _flag(fields, "by_ear")
    if fields.get("uncertainty_ms") is None:
        return Listen(_flag(fields, "on"), None, by_ear)
    uncertainty_ms = _number(fields, "uncertainty_ms")
    if not math.isfinite(uncertainty_ms) or not 0 <= uncertainty_ms <= 1e6:
        raise PageError("uncertainty_ms is out of range")
    return Listen(_flag(fields, "on"), round(uncertainty_ms * 1e6), by_ear)


_READERS: dict[str, Callable[[dict[str, Any]], PageMessage]] = {
    "hello": lambda fields: Hello(
        text_of(fields, "token", 100), text_of(fields, "name"), text_of(fields, "language", 35)
    ),
    "name": lambda fields: Name(text_of(fields, "name")),
    "search": _search,
    "ask found": lambda fields: AskFound(_id(fields, "request"), _integer(fields, "song", 0, _MAX_NUMBER)),
    "ask upload": lambda fields: AskUpload(
        _id(fields, "request"),
        text_of(fields, "file_name", 4 * FILE_BYTES),
        _integer(fields, "size", 1, _MAX_NUMBER),  # the session tells a guest whose file is too large
    ),
    "withdraw": lambda fields: Withdraw(_id(fields, "request")),
    "vote": lambda fields: Vote(_id(fields, "song"), _flag(fields, "wanted")),
    "skip": lambda fields: Skip(_id(fields, "song"), _flag(fields, "wanted")),
    "say": lambda fields: Say(text_of(fields, "text", 2000)),
    "here": lambda fields: Here(),
    "ping": lambda fields: Ping(_number(fields, "t0")),
    "listen": _listen,
}
