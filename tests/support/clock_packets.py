"""Packets of the clock as the tests make them; see ext/pl_udp.h."""

from __future__ import annotations

import struct

from phaselock import _native

PING, PONG = 1, 2
PACKET_BYTES, MAC_BYTES = 37, 8
_FIELDS = struct.Struct("<BIQQQ")
_MAC = struct.Struct("<Q")


def signed(fields: bytes, key: bytes) -> bytes:
    """These bytes with their MAC."""
    return fields + _MAC.pack(_native.siphash(key, fields))


def ping(key: bytes, peer_id: int, sent_ns: int) -> bytes:
    """A ping of this peer."""
    return signed(_FIELDS.pack(PING, peer_id, sent_ns, 0, 0), key)


def pong(key: bytes, peer_id: int, sent_ns: int, host_recv_ns: int, host_send_ns: int) -> bytes:
    """The answer to the ping that this peer sent then."""
    return signed(_FIELDS.pack(PONG, peer_id, sent_ns, host_recv_ns, host_send_ns), key)


def fields(packet: bytes) -> tuple[int, int, int, int, int]:
    """(type, peer_id, sent_ns, host_recv_ns, host_send_ns) of a packet."""
    kind, peer_id, sent_ns, host_recv_ns, host_send_ns = _FIELDS.unpack(packet[:-MAC_BYTES])
    return kind, peer_id, sent_ns, host_recv_ns, host_send_ns


def is_authentic(packet: bytes, key: bytes) -> bool:
    """Is its MAC that of its fields?"""
    return signed(packet[:-MAC_BYTES], key) == packet
