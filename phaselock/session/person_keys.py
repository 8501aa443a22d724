"""The keys of the people of a session who ask for songs: they name a person for the whole session."""

from __future__ import annotations

HOST_KEY = "host"
"""The key of the host's own user."""
FALLBACK_KEY = "fallback"
"""The key of the songs that play when no one asks."""

GUEST_PREFIX = "guest:"
"""Begins the key of a guest."""


def peer_key(peer_id: int) -> str:
    """The key of a peer."""
    return f"peer:{peer_id}"


def peer_id_of(key: str, host_peer_id: int) -> int | None:
    """The number of the member with this key; None: the key of another person. `host_peer_id`: of the host."""
    kind, _, number = key.partition(":")
    if key == HOST_KEY:
        return host_peer_id
    return int(number) if kind == "peer" and number.isdecimal() and len(number) <= 10 else None


def guest_key(guest_id: bytes, address: str) -> str:
    """The key of a guest: all guests at one address share it. On the host's own machine, where `address` is empty, each
    has its own."""
    return GUEST_PREFIX + (address or guest_id.hex())
