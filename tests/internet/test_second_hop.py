"""The second router on the way to the internet, as the systems tell it."""

from __future__ import annotations

import struct

import pytest

from phaselock.internet.second_hop import dropper, dropper_of_echo

ROUTER = bytes([100, 64, 1, 1])


def extended_error(origin: int, kind: int) -> bytes:
    """A sock_extended_err and the address of the router."""
    return struct.pack("=IBBBBII", 113, origin, kind, 0, 0, 0, 0) + struct.pack("=HH", 2, 0) + ROUTER + bytes(8)


@pytest.mark.parametrize(
    ("error", "address"),
    [
        (extended_error(2, 11), "100.64.1.1"),
        (extended_error(2, 3), ""),  # unreachable
        (extended_error(1, 11), ""),  # from this computer
        (b"", ""),
    ],
)
def test_linux(error: bytes, address: str) -> None:
    assert dropper(error) == address


@pytest.mark.parametrize(("status", "address"), [(11013, "100.64.1.1"), (0, ""), (11010, "")])
def test_windows(status: int, address: str) -> None:
    assert dropper_of_echo(ROUTER + struct.pack("<I", status) + bytes(200)) == address
