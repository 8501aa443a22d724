"""The default routers of this computer."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence

from phaselock.internet.mapper import Gateway
from phaselock.model.address import is_public
from phaselock.network.interfaces import Adapter, Distance, adapters, distance, source_of

_REMOTE6 = "2001:db8::1"
"""An address for documentation: only the default route leads there."""
_COMMAND_TIMEOUT_S = 5.0

Route = tuple[int, str]
"""Metric and router. The default route with the lowest metric is in use, which may be a VPN's."""


def gateways() -> tuple[Gateway | None, Gateway | None]:
    """The routers of IPv4 and of IPv6. The latter only if this computer has a public IPv6 address. Sends nothing. May
    block for some milliseconds."""
    routes4, routes6 = _routes()
    return _gateway(socket.AF_INET, routes4), _gateway(socket.AF_INET6, routes6)


def asked(found: Sequence[Gateway], adapters: Iterable[Adapter]) -> Gateway | None:
    """Which of these routers to ask, of which those in use come first: the home's before that of a VPN, which leads to
    a provider or a company. An address of this computer is no router: Windows lists it for some VPNs. None if there is
    none."""
    adapters = tuple(adapters)
    routers = [one for one in found if one.router != one.own]
    routers.sort(key=lambda one: _distance(one, adapters) is Distance.TUNNEL)  # stable
    return next(iter(routers), None)


def linux_routes(text: str) -> Iterator[Route]:
    """The default routes in /proc/net/route, the table of IPv4. A VPN's route without a router is left out."""
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == words[7] == "00000000" and words[2] != "00000000":
            # The kernel prints the number in the machine's order of bytes.
            yield int(words[6]), str(ipaddress.IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder)))


def linux_routes6(text: str) -> Iterator[Route]:
    """The default routes in /proc/net/ipv6_route."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 10 and words[0] == "0" * 32 and words[1] == "00" and words[4] != "0" * 32:
            yield int(words[5], 16), _scoped(ipaddress.IPv6Address(bytes.fromhex(words[4])), words[9])


def windows_routes(table: bytes) -> Iterator[Route]:
    """The default routes in the MIB_IPFORWARD_ROW2 entries of iphlpapi, without the head of the table."""
    for at in range(0, len(table) // _ROW_BYTES * _ROW_BYTES, _ROW_BYTES):
        interface, prefix_bits = struct.unpack_from("<8xI28xB", table, at)
        (family,), (metric,) = struct.unpack_from("<H", table, at + 44), struct.unpack_from("<I", table, at + 84)
        if prefix_bits:
            continue
        if family == _WINDOWS_INET6:
            router6 = ipaddress.IPv6Address(table[at + 52 : at + 68])
            if not router6.is_unspecified:
                yield metric, _scoped(router6, str(interface))
        elif any(table[at + 48 : at + 52]):
            yield metric, str(ipaddress.IPv4Address(table[at + 48 : at + 52]))


def macos_routes(text: str) -> Iterator[Route]:
    """The default route as `route -n get default` prints it."""
    if match := re.search(r"^\s*gateway: (\S+)$", text, re.MULTILINE):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(match[1])
            yield 0, match[1]


_WINDOWS_INET, _WINDOWS_INET6 = 2, 23
_ROW_BYTES, _TABLE_HEAD_BYTES = 104, 8


def _routes() -> tuple[list[Route], list[Route]]:
    if sys.platform == "win32":
        return _ask_windows(_WINDOWS_INET), _ask_windows(_WINDOWS_INET6)
    if sys.platform == "darwin":
        return _ask_macos(), _ask_macos("-inet6")
    return list(linux_routes(_read("/proc/net/route"))), list(linux_routes6(_read("/proc/net/ipv6_route")))


def _gateway(family: socket.AddressFamily, routes: list[Route]) -> Gateway | None:
    found = []
    for _, router in sorted(routes):
        target = router if family == socket.AF_INET else _REMOTE6
        with contextlib.suppress(OSError, ValueError):
            own = source_of(family, (target, 9))
            if family == socket.AF_INET or is_public(str(own)):
                found.append(Gateway(router, str(own)))
    return asked(found, adapters() if len(found) > 1 else ())


def _distance(gateway: Gateway, adapters: Sequence[Adapter]) -> Distance:
    router = ipaddress.ip_address(gateway.router.partition("%")[0])
    return distance(router, ipaddress.ip_address(gateway.own), adapters)


def _scoped(address: ipaddress.IPv6Address, interface: str) -> str:
    return f"{address}%{interface}" if address.is_link_local else str(address)


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        return file.read()
    return ""


def _ask_windows(family: int) -> list[Route]:
    import ctypes  # late: the other systems do not need it

    iphlpapi = ctypes.CDLL("iphlpapi")
    table = ctypes.c_void_p()
    if iphlpapi.GetIpForwardTable2(ctypes.c_ushort(family), ctypes.byref(table)) or not table.value:
        return []
    try:
        (count,) = struct.unpack("<I", ctypes.string_at(table.value, 4))
        return list(windows_routes(ctypes.string_at(table.value + _TABLE_HEAD_BYTES, count * _ROW_BYTES)))
    finally:
        iphlpapi.FreeMibTable(table)


def _ask_macos(*family: str) -> list[Route]:
    import subprocess  # late: the other systems do not need it

    command = ["/sbin/route", "-n", "get", *family, "default"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
        return list(macos_routes(done.stdout))
    return []
