"""Types for argparse. Their errors are sentences for users."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from phaselock.model.address import parse_address


def address(text: str) -> tuple[str, int]:
    """Parse the address of a host: (host, port). argparse.ArgumentTypeError if it is invalid."""
    try:
        return parse_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST, HOST:PORT or [IPV6]:PORT") from None


def number(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """A function that parses a number of this type from `low` to `high`; it raises argparse.ArgumentTypeError."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low - 1)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return value

    return read
