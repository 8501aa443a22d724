"""Which machines are far: in no room with the host."""

from __future__ import annotations

FAR_NS = 10_000_000
"""Least round trip of a far machine. On Wi-Fi the least one of a minute is a few milliseconds, however late single
packets are."""
NEAR_AGAIN_NS = 7_000_000
"""Least round trip below which a far machine is near after all: its path has changed."""


def is_far(least_rtt_ns: int, *, was_far: bool = False) -> bool:
    """Whether a machine with this least round trip is far. Between the two limits it stays what it was."""
    return least_rtt_ns >= (NEAR_AGAIN_NS if was_far else FAR_NS)
