"""Bounds in the declared types of message fields; protocol/codec.py checks them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from phaselock.frozen import frozen
from phaselock.model.names import CHAT_BYTES, FILE_BYTES, PERSON_BYTES, TITLE_BYTES


@frozen
class Within:
    """Bounds of a number, inclusive."""

    low: float
    high: float


@frozen
class Size:
    """Bounds of a length, inclusive: bytes of a byte string, UTF-8 bytes of a text, items of a list."""

    low: int
    high: int


PersonName: TypeAlias = Annotated[str, Size(0, PERSON_BYTES)]
FileName: TypeAlias = Annotated[str, Size(1, FILE_BYTES)]
Title: TypeAlias = Annotated[str, Size(0, TITLE_BYTES)]
ChatText: TypeAlias = Annotated[str, Size(1, CHAT_BYTES)]
