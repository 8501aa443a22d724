"""Network addresses as users type them, and the default ports."""

from __future__ import annotations

import ipaddress
import re

from phaselock.language.message import N_

DEFAULT_PORT = 17401
"""TCP: control connections and files."""
DEFAULT_CLOCK_PORT = 17402
"""UDP: clock measurements."""
DEFAULT_GUEST_PORT = 17403
"""TCP: the page for guests."""
DEFAULT_OUTSIDE_PORT = 17404
"""TCP: friends elsewhere, while an invitation is open."""
OWN_PORTS = range(20_000, 60_000)
"""Public ports at a router that other programs seldom want."""
CARRIERS = ipaddress.IPv4Network("100.64.0.0/10")
"""RFC 6598: addresses that internet providers assign, and Tailscale."""
NO_ADDRESS = N_("Enter the address that the host shows, such as 192.168.1.42 or 192.168.1.42:17401.")
_IPV6_GROUP_BITS = 64
_LABEL = re.compile(r"[\w-]{1,63}")


def own_outside_port(host_key: bytes) -> int:
    """The public port, TCP and UDP, that the machine with this key wants at its router when it becomes the host while
    the router still gives the usual ones to the host before it. All members can compute it."""
    return OWN_PORTS[int.from_bytes(host_key[:8], "big") % len(OWN_PORTS)]


def origin(ip: str, port: int) -> str:
    """How addresses of pages at this machine begin."""
    return f"http://[{ip}]:{port}" if ":" in ip else f"http://{ip}:{port}"


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `v6`, `[v6]` or `[v6]:port`. ValueError, whose text is a message id for
    users."""
    text = text.strip()
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or rest[:1] not in ("", ":") or not _is_v6(host):
            raise ValueError(NO_ADDRESS)
        colon, port = rest[:1], rest[1:]
    elif text.count(":") > 1:
        host, colon, port = text, "", ""
        if not _is_v6(host):
            raise ValueError(NO_ADDRESS)
    else:
        host, colon, port = text.partition(":")
        if len(host) > 253 or not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
            raise ValueError(NO_ADDRESS)
    if not colon:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(N_("The port is a number from 1 to 65535."))
    return host, int(port)


def for_resolver(host: str) -> bytes | str:
    """The host as `getaddrinfo` takes it. For a text that Python has to encode, it loads tables of 0.25 MB."""
    return host.encode("ascii") if host.isascii() else host


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def address_group(ip: str) -> str:
    """The addresses that one machine may have: an IPv4 address, or the /64 of an IPv6 address. Another text is a group
    of its own: a host tells its successors addresses, and may lie."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_GROUP_BITS), strict=False))


def is_public(text: str) -> bool:
    """An address of the internet. False for a text that is no address."""
    try:
        ip = parse_ip(text)
    except ValueError:
        return False
    return ip.is_global and not ip.is_multicast


def is_loopback(ip: str) -> bool:
    """An address by which this computer reaches itself."""
    return parse_ip(ip).is_loopback


def leads_here(host: str) -> bool:
    """Whether a host leads to the machine itself that connects to it. Names that only a directory knows are not asked
    for."""
    try:
        return parse_ip(host).is_loopback or parse_ip(host).is_unspecified
    except ValueError:
        return host.rstrip(".").casefold().split(".")[-1] == "localhost"


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address without its scope: of ::ffff:127.0.0.1, which leads where 127.0.0.1 leads, the latter. ValueError
    if it is none."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
