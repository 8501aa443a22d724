"""The check of every message that a test sends."""

from __future__ import annotations

from phaselock.protocol.codec import decode, encode
from phaselock.protocol.messages import Message


def checked_encode(message: Message) -> bytes:
    """Encode a message; AssertionError if the receiver would refuse it or decode something else.

    `tests/conftest.py` puts it in the place of `encode`, so every message that a test sends is checked.
    """
    try:
        data = encode(message)
        decoded = decode(data[0], data[1:])
    except Exception as error:
        raise AssertionError(f"{type(message).__name__} would be refused: {error}") from error
    assert decoded == message
    return data
