"""The packets of PCP (RFC 6887) and NAT-PMP (RFC 6886), by which a router opens ports. No input or output."""

from __future__ import annotations

import enum
import ipaddress
import struct
from collections.abc import Mapping
from typing import Protocol as Interface

from phaselock.frozen import frozen

PORT = 5351
"""The router's UDP port for both."""
_ANSWER = 128

_PCP_REQUEST = struct.Struct("!BBxxI16s")
_PCP_ANSWER = struct.Struct("!BBxBII12x")
_PCP_MAP = struct.Struct("!12sB3xHH16s")
_PCP_VERSION, _PCP_ANNOUNCE, _PCP_MAP_CODE = 2, 0, 1
NONCE_BYTES = 12

_PMP_MAP = struct.Struct("!BBxxHHI")
_PMP_ANSWER = struct.Struct("!BBHI")
_PMP_ADDRESS_ANSWER = struct.Struct("!BBHI4s")
_PMP_MAP_ANSWER = struct.Struct("!BBHIHHI")


class Transport(enum.IntEnum):
    """The protocol of a port: its number in IP."""

    TCP = 6
    UDP = 17


class Result(enum.Enum):
    """What the router makes of a request."""

    OK = enum.auto()
    OTHER_VERSION = enum.auto()
    """It does not speak this protocol, but maybe the other one."""
    REFUSED = enum.auto()
    NO_PUBLIC_ADDRESS = enum.auto()
    NO_PORTS = enum.auto()
    BEHIND_NAT = enum.auto()
    """The router sees another address than ours: a NAT is between us."""
    FAILED = enum.auto()


_UNSUPPORTED_VERSION = 1
_PCP_RESULTS = {
    0: Result.OK,
    _UNSUPPORTED_VERSION: Result.OTHER_VERSION,
    2: Result.REFUSED,
    4: Result.OTHER_VERSION,
    7: Result.NO_PUBLIC_ADDRESS,
    8: Result.NO_PORTS,
    10: Result.NO_PORTS,
    11: Result.NO_PORTS,
    12: Result.BEHIND_NAT,
}
_PMP_RESULTS = {
    0: Result.OK,
    2: Result.REFUSED,
    3: Result.NO_PUBLIC_ADDRESS,
    4: Result.NO_PORTS,
    5: Result.OTHER_VERSION,
}


@frozen
class Answer:
    """What a router has answered. `epoch_s` counts from the time at which it lost its mappings. `transport` None: the
    answer to a look, or an error that tells nothing else. `address` is the public one; empty: not told."""

    result: Result
    epoch_s: int = 0
    transport: Transport | None = None
    inner: int = 0
    outer: int = 0
    lifetime_s: int = 0
    address: str = ""


class Dialect(Interface):
    """One of the two protocols."""

    tells_address_with_look: bool
    """Whether the answer to a look has the public address; else that to a mapping has it."""

    def look(self) -> bytes:
        """A request that changes nothing. The answer tells the epoch."""

    def map(self, transport: Transport, inner: int, outer: int, lifetime_s: int) -> bytes:
        """A request for a mapping from the public port `outer` to ours. It may give another one. Lifetime 0 removes."""

    def parse(self, packet: bytes) -> Answer | None:
        """None if this is no answer to our requests."""


class Pcp:
    """PCP. The nonces show the router that the same program renews a mapping."""

    tells_address_with_look = False

    def __init__(self, own: str, nonces: Mapping[Transport, bytes]) -> None:
        """`own`: our IPv4 or IPv6 address, as the router sees it. `nonces`: NONCE_BYTES random ones for each."""
        self._own = _sixteen(own)
        self._any = _sixteen("::" if ":" in own else "0.0.0.0")
        self._nonces = nonces

    def look(self) -> bytes:
        return _PCP_REQUEST.pack(_PCP_VERSION, _PCP_ANNOUNCE, 0, self._own)

    def map(self, transport: Transport, inner: int, outer: int, lifetime_s: int) -> bytes:
        head = _PCP_REQUEST.pack(_PCP_VERSION, _PCP_MAP_CODE, lifetime_s, self._own)
        return head + _PCP_MAP.pack(self._nonces[transport], transport, inner, outer, self._any)

    def parse(self, packet: bytes) -> Answer | None:
        if len(packet) >= 4 and packet[0] == 0 and packet[1] >= _ANSWER:
            return Answer(Result.OTHER_VERSION)  # from a router that speaks NAT-PMP only
        if len(packet) < _PCP_ANSWER.size or packet[0] == 0:
            return None
        version, code, number, lifetime_s, epoch_s = _PCP_ANSWER.unpack_from(packet)
        result = _PCP_RESULTS.get(number, Result.FAILED)
        if version != _PCP_VERSION:
            return Answer(Result.OTHER_VERSION) if code >= _ANSWER else None
        if code == _ANSWER | _PCP_ANNOUNCE:
            return Answer(result, epoch_s)
        if code != _ANSWER | _PCP_MAP_CODE or len(packet) < _PCP_ANSWER.size + _PCP_MAP.size:
            return None
        nonce, transport, inner, outer, address = _PCP_MAP.unpack_from(packet, _PCP_ANSWER.size)
        if transport not in tuple(Transport) or nonce != self._nonces[Transport(transport)]:
            return None
        # An error may repeat the address of the request, which is none.
        public = _text(address) if address not in (self._any, bytes(16)) else ""
        return Answer(result, epoch_s, Transport(transport), inner, outer, lifetime_s, public)


class NatPmp:
    """NAT-PMP: IPv4 only, and the older one."""

    tells_address_with_look = True
    _CODES = {Transport.UDP: 1, Transport.TCP: 2}

    def look(self) -> bytes:
        return bytes(2)

    def map(self, transport: Transport, inner: int, outer: int, lifetime_s: int) -> bytes:
        # RFC 6886: a removal has no public port.
        return _PMP_MAP.pack(0, self._CODES[transport], inner, outer if lifetime_s else 0, lifetime_s)

    def parse(self, packet: bytes) -> Answer | None:
        if len(packet) < _PMP_ANSWER.size or packet[1] < _ANSWER:
            return None
        version, code, number, epoch_s = _PMP_ANSWER.unpack_from(packet)
        result = _PMP_RESULTS.get(number, Result.FAILED)
        if version != 0:
            unsupported = packet[3] == _UNSUPPORTED_VERSION
            return Answer(Result.OTHER_VERSION) if unsupported else None  # else a late answer to a request of PCP
        if number == _UNSUPPORTED_VERSION:
            return None  # a late answer to PCP, too
        if code == _ANSWER:
            if result != Result.OK:
                return Answer(result, epoch_s)
            if len(packet) < _PMP_ADDRESS_ANSWER.size:
                return None
            return Answer(result, epoch_s, address=str(ipaddress.IPv4Address(packet[8:12])))
        transport = {_ANSWER | one: transport for transport, one in self._CODES.items()}.get(code)
        if transport is None:
            return None
        if len(packet) < _PMP_MAP_ANSWER.size:
            return Answer(result, epoch_s, transport) if result != Result.OK else None
        inner, outer, lifetime_s = _PMP_MAP_ANSWER.unpack_from(packet)[4:]
        return Answer(result, epoch_s, transport, inner, outer, lifetime_s)


def _sixteen(address: str) -> bytes:
    """The 16 bytes of an IPv6 address, or of an IPv4 address in one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed


def _text(sixteen: bytes) -> str:
    ip = ipaddress.IPv6Address(sixteen)
    return str(ip.ipv4_mapped or ip)
