"""The default routers, from the tables of the three systems."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys

import pytest

from phaselock.internet.gateway import asked, gateways, linux_routes, linux_routes6, macos_routes, windows_routes
from phaselock.internet.mapper import Gateway
from phaselock.network.interfaces import Adapter

LINUX = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
wlan0\t00000000\t{router}\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t{other}\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0005A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
LINUX6 = f"""
20010db8000000000000000000000000 40 {"0" * 32} 00 {"0" * 32} 00000100 00000001 00000000 00000001     eth0
{"0" * 32} 00 {"0" * 32} 00 fe80000000000000020000fffe000001 00000400 00000001 00000000 00000003     eth0
{"0" * 32} 00 {"0" * 32} 00 {"0" * 32} ffffffff 00000001 00000000 00200200       lo
"""
MACOS = """   route to: default
destination: default
       mask: default
    gateway: 192.168.1.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
"""


def hexed(address: str) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"


def row(family: int, prefix_bits: int, router: bytes, metric: int, interface: int = 7) -> bytes:
    """A MIB_IPFORWARD_ROW2."""
    at = 4 if family == 2 else 8
    hop = (struct.pack("<H", family) + bytes(at - 2) + router).ljust(28, b"\0")
    head = struct.pack("<QI", 1, interface) + struct.pack("<H", family).ljust(28, b"\0")
    return (head + bytes([prefix_bits, 0, 0, 0]) + hop + bytes(12) + struct.pack("<I", metric)).ljust(104, b"\0")


def test_the_routes_of_linux() -> None:
    text = LINUX.format(router=hexed("192.168.5.1"), other=hexed("10.0.0.1"))
    assert sorted(linux_routes(text)) == [(100, "10.0.0.1"), (600, "192.168.5.1")]
    assert list(linux_routes("")) == []


def test_the_routes_of_linux_over_ipv6() -> None:
    assert list(linux_routes6(LINUX6)) == [(0x400, "fe80::200:ff:fe00:1%eth0")]


def test_the_routes_of_windows() -> None:
    table = (
        row(2, 0, bytes([192, 168, 1, 1]), 25)
        + row(2, 24, bytes([192, 168, 1, 9]), 5)
        + row(2, 0, bytes(4), 1)
        + row(23, 0, bytes.fromhex("fe80000000000000020000fffe000001"), 256)
        + row(23, 0, bytes(16), 1)
    )
    assert list(windows_routes(table)) == [(25, "192.168.1.1"), (256, "fe80::200:ff:fe00:1%7")]
    assert list(windows_routes(table[:50])) == []


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        (MACOS, [(0, "192.168.1.1")]),
        (MACOS.replace("192.168.1.1", "fe80::1%en0"), [(0, "fe80::1%en0")]),
        (MACOS.replace("192.168.1.1", "link#12"), []),  # a VPN
        ("route: writing to routing socket: not in table\n", []),
    ],
)
def test_the_route_of_macos(text: str, routes: list[tuple[int, str]]) -> None:
    assert list(macos_routes(text)) == routes


def interface(name: str, address: str) -> Adapter:
    return Adapter(name, (ipaddress.ip_interface(address),))


def test_the_router_of_the_home_is_asked_beside_a_vpn() -> None:
    adapters = [
        interface("tun0", "10.8.0.7/24"),
        interface("wlan0", "192.168.5.4/24"),
        interface("eth0", "10.0.0.4/24"),
    ]
    vpn, wifi, cable = (
        Gateway("10.8.0.1", "10.8.0.7"),
        Gateway("192.168.5.1", "192.168.5.4"),
        Gateway("10.0.0.1", "10.0.0.4"),
    )
    assert asked([vpn, wifi, cable], adapters) == wifi
    assert asked([vpn, cable, wifi], adapters) == cable
    assert asked([vpn], adapters) == vpn
    assert asked([], adapters) is None


def test_an_address_of_this_computer_is_no_router() -> None:
    """Windows lists it as the next hop for some VPNs."""
    adapters = [interface("Ethernet 2", "10.8.0.7/32"), interface("Wi-Fi", "192.168.5.4/24")]
    vpn, wifi = Gateway("10.8.0.7", "10.8.0.7"), Gateway("192.168.5.1", "192.168.5.4")
    assert asked([vpn, wifi], adapters) == wifi
    assert asked([vpn], adapters) is None


def test_this_computer_has_routers_or_none() -> None:
    for gateway in gateways():
        assert gateway is None or (gateway.router and gateway.own)
