"""A router that speaks PCP and NAT-PMP, in memory and on a virtual clock. It answers as the test wants."""

from __future__ import annotations

import dataclasses
import ipaddress
import struct

from phaselock.internet.pcp import Transport

PUBLIC = "45.32.1.1"


@dataclasses.dataclass
class SimulatedRouter:
    """Its fields may be changed at any time."""

    public: str = PUBLIC
    speaks: frozenset[str] = frozenset({"pcp", "nat-pmp"})
    """It says nothing to another protocol."""
    error: int = 0
    """The number of an error that it answers to a mapping."""
    other_outer: int = 0
    """A public port that it gives instead of the wanted one."""
    taken: frozenset[int] = frozenset()
    """Public ports of another computer. It gives `port + 30000` instead."""
    most_lease_s: int = 86400
    least_lease_s: int = 0
    wrong_nonce: bool = False
    losses: int = 0
    """The number of the next requests that it does not hear."""
    started_s: float = 0.0

    def __post_init__(self) -> None:
        self.mappings: dict[tuple[Transport, int], tuple[int, float]] = {}
        """By our port: the public one, and the end of the lease."""
        self.requests: list[tuple[float, bytes]] = []

    def restart(self, now_s: float) -> None:
        self.mappings.clear()
        self.started_s = now_s

    def open_ports(self, now_s: float) -> dict[tuple[Transport, int], int]:
        return {key: outer for key, (outer, until_s) in self.mappings.items() if until_s > now_s}

    def ask(self, packet: bytes, now_s: float) -> bytes | None:
        """The answer to one packet."""
        self.requests.append((now_s, packet))
        if self.losses:
            self.losses -= 1
            return None
        epoch_s = int(now_s - self.started_s)
        if packet[0] == 2:
            return self._pcp(packet, epoch_s, now_s) if "pcp" in self.speaks else self._other_version(epoch_s)
        return self._nat_pmp(packet, epoch_s, now_s) if "nat-pmp" in self.speaks else None

    def _other_version(self, epoch_s: int) -> bytes | None:
        return struct.pack("!BBHI", 0, 128, 1, epoch_s) if "nat-pmp" in self.speaks else None

    def _pcp(self, packet: bytes, epoch_s: int, now_s: float) -> bytes:
        code, lifetime_s = packet[1], int.from_bytes(packet[4:8], "big")
        if code == 0:
            return struct.pack("!BBBBII12x", 2, 128, 0, 0, 0, epoch_s)
        nonce, transport, inner, outer = struct.unpack_from("!12sB3xHH", packet, 24)
        given, lease_s = self._map(Transport(transport), inner, outer, lifetime_s, now_s)
        if self.wrong_nonce:
            nonce = bytes(12)
        ip = ipaddress.ip_address(self.public)
        address = ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed
        head = struct.pack("!BBBBII12x", 2, 129, 0, self.error, lease_s, epoch_s)
        return head + struct.pack("!12sB3xHH16s", nonce, transport, inner, given, address)

    def _nat_pmp(self, packet: bytes, epoch_s: int, now_s: float) -> bytes:
        code = packet[1]
        if code == 0:
            return struct.pack("!BBHI", 0, 128, 0, epoch_s) + ipaddress.IPv4Address(self.public).packed
        inner, outer, lifetime_s = struct.unpack_from("!HHI", packet, 4)
        transport = Transport.UDP if code == 1 else Transport.TCP
        given, lease_s = self._map(transport, inner, outer, lifetime_s, now_s)
        return struct.pack("!BBHIHHI", 0, 128 + code, self.error, epoch_s, inner, given, lease_s)

    def _map(self, transport: Transport, inner: int, outer: int, lifetime_s: int, now_s: float) -> tuple[int, int]:
        if self.error:
            return outer, 30
        if not lifetime_s:
            self.mappings.pop((transport, inner), None)
            return 0, 0
        given = self.other_outer or outer + 30_000 * (outer in self.taken)
        lease_s = max(min(lifetime_s, self.most_lease_s), self.least_lease_s)
        self.mappings[transport, inner] = given, now_s + lease_s
        return given, lease_s
