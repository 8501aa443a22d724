"""The network interfaces of this computer, and the addresses at which other computers can reach it."""

from __future__ import annotations

import contextlib
import enum
import ipaddress
import pathlib
import re
import socket
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phaselock.frozen import frozen
from phaselock.model.address import CARRIERS, for_resolver

if TYPE_CHECKING:
    import ifaddr

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
BoundAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface

MAX_ADDRESSES = 8
"""Most addresses in a list; the rest are dropped."""

# Addresses of networks reserved for documentation. No such network exists, so only the default route leads there.
_REMOTE = ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8::1"))

# Interfaces inside the computer. "vEthernet" alone is not in the list: on Windows with virtual machines it may be the
# only interface to the network.
_INNER = re.compile(
    r"^(docker|br-|veth(?!ernet)|virbr|vnet|lxc|lxd|incus|podman|cni|cali|flannel|kube|nerdctl|vmnet|vmenet|vboxnet|bridge1\d\d)"
    r"|^vethernet \((wsl|default switch|dockernat|nat|internal|minikube)|virtualbox host-only|vmware.*vmnet",
    re.IGNORECASE,
)
_TUNNEL = re.compile(
    r"^(tun|tap|utun|wg|ppp|ipsec|zt|tailscale|nordlynx|proton|gpd)"
    r"|wireguard|wintun|openvpn|tap-windows|tailscale|zerotier|hamachi|anyconnect|fortinet|pangp|vpn",
    re.IGNORECASE,
)

_TAILSCALE = ipaddress.IPv6Network("fd7a:115c:a1e0::/48")
"""All machines with Tailscale have an address of this network."""
# On macOS, ZeroTier makes a pair of interfaces (feth) for each network, of which one has the addresses.
_OVERLAYS = (
    ("Tailscale", re.compile(r"^tailscale", re.IGNORECASE)),
    ("ZeroTier", re.compile(r"^(zt[a-z0-9]{8}|feth[1-9]\d{2,3})$|zerotier", re.IGNORECASE)),
    ("WireGuard", re.compile(r"^(wg|wireguard)", re.IGNORECASE)),
)
_POINT_TO_POINT = re.compile(r"^u?tun\d*$")
_RADIO = re.compile(r"wi-?fi|wlan|wireless|airport|802\.11", re.IGNORECASE)
_CABLE = re.compile(r"ethernet|\blan\b|gigabit", re.IGNORECASE)
_SYS_CLASS_NET = pathlib.Path("/sys/class/net")
_ARPHRD_NONE = "65534"


class _Kind(enum.IntEnum):
    """Kinds of network interfaces, the most useful first."""

    NETWORK = 0
    TUNNEL = 1
    INNER = 2


class Distance(enum.IntEnum):
    """How far away an address is, the nearest first."""

    ROOM = 0
    """In a network of this computer."""
    ROUTED = 1
    """Behind a router."""
    TUNNEL = 2
    """In an overlay network or behind a VPN."""
    BRIDGED = 3
    """A program on this computer, which passes everything on to another one."""


@frozen
class Adapter:
    """A network interface as the system lists it. `labels` are its names in the system's user interface. `driver` is
    "tun" or "wireguard" where the system tells that the interface is one (Linux), else empty."""

    name: str
    addresses: tuple[BoundAddress, ...]
    labels: tuple[str, ...] = ()
    driver: str = ""


@frozen
class OverlayAddress:
    """An address of this computer in an overlay network: friends who are in it, too, reach this computer there.
    `overlay` is the name of its software."""

    overlay: str
    address: str


def usable_addresses(bind: str = "") -> tuple[str, ...]:
    """The addresses at which other computers can reach a program bound to `bind`, best first; empty for loopback. May
    block for some milliseconds, and for longer if `bind` is a host name."""
    if bind in ("", "::"):
        return rank(adapters(), default_route_addresses())
    if bind == "0.0.0.0":
        return tuple(address for address in rank(adapters(), default_route_addresses()) if ":" not in address)
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        address = ipaddress.ip_address(socket.getaddrinfo(for_resolver(bind), 0, type=socket.SOCK_DGRAM)[0][4][0])
        return () if address.is_loopback else (str(address),)
    return ()


def rank(adapters: Iterable[Adapter], default_route: Collection[str] = ()) -> tuple[str, ...]:
    """The addresses that other computers can reach, best first, tunnels last. Link-local addresses, and those of
    virtual machines and containers, only if there are no others. `default_route` are the addresses of the default
    route."""
    candidates = []
    for adapter in adapters:
        leads_out = any(str(one.ip) in default_route for one in adapter.addresses)
        kind = _kind(adapter, leads_out)
        for one in adapter.addresses:
            if not (one.ip.is_loopback or one.ip.is_unspecified or one.ip.is_multicast):
                tier = _tier(kind, one.ip.is_link_local)
                candidates.append(((tier, kind, one.version, not leads_out), str(one.ip)))
    candidates.sort(key=lambda one: one[0])  # stable: within a tier in the order of the system
    best = [text for (tier, *_), text in candidates if tier == candidates[0][0][0]]
    return tuple(dict.fromkeys(best))[:MAX_ADDRESSES]


def usable_overlays(bind: str = "") -> tuple[OverlayAddress, ...]:
    """The first address in each overlay network at which a program bound to `bind` can be reached. May block for some
    milliseconds."""
    if bind not in ("", "::", "0.0.0.0"):
        return ()
    first: dict[str, OverlayAddress] = {}
    for one in overlay_addresses(adapters(), default_route_addresses()):
        if bind != "0.0.0.0" or ":" not in one.address:
            first.setdefault(one.overlay, one)
    return tuple(first.values())


def overlay_addresses(adapters: Iterable[Adapter], default_route: Collection[str] = ()) -> tuple[OverlayAddress, ...]:
    """The addresses in overlay networks, in the order of the system, IPv4 first for each interface. A WireGuard tunnel
    on the default route is left out: it leads to a provider or a company, not to friends."""
    found = []
    for adapter in adapters:
        overlay = overlay_name(adapter)
        leads_out = any(str(one.ip) in default_route for one in adapter.addresses)
        if overlay and not (overlay == "WireGuard" and leads_out):
            ips = sorted((one.ip for one in adapter.addresses if not one.ip.is_link_local), key=lambda ip: ip.version)
            found += [OverlayAddress(overlay, str(ip)) for ip in ips]
    return tuple(found)


def overlay_name(adapter: Adapter) -> str:
    """The overlay network of this interface: "Tailscale", "ZeroTier" or "WireGuard"; empty if it is in none."""
    if any(one.ip in _TAILSCALE for one in adapter.addresses if one.version == 6) or _has_tailscale_v4(adapter):
        return "Tailscale"
    texts = (adapter.name, *adapter.labels)
    for overlay, pattern in _OVERLAYS:
        if any(pattern.search(text) for text in texts):
            return overlay
    if any(map(_is_zerotier, adapter.addresses)):
        return "ZeroTier"
    return "WireGuard" if adapter.driver == "wireguard" else ""


def reachable_first(addresses: Iterable[Address], networks: Sequence[Network]) -> tuple[str, ...]:
    """Another computer's addresses, without those that are only valid there; those in our `networks` come first."""
    useful = {
        address
        for address in addresses
        if not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)
        and not (isinstance(address, ipaddress.IPv6Address) and address.is_link_local and not address.scope_id)
    }
    order = sorted(
        useful,
        key=lambda one: (
            one.is_link_local,
            not any(one.version == network.version and one in network for network in networks),
            one.version,
            int(one),
        ),
    )
    return tuple(str(address) for address in order[:MAX_ADDRESSES])


def distance(address: Address, source: Address, adapters: Iterable[Adapter]) -> Distance:
    """How far away an address is to which this computer sends from its address `source`."""
    if address.is_loopback:
        return Distance.BRIDGED
    for adapter in adapters:
        ours = [one for one in adapter.addresses if one.ip == source]
        if ours and _kind(adapter, False) == _Kind.TUNNEL:
            return Distance.TUNNEL
        if any(address in one.network for one in ours):
            return Distance.ROOM
    return Distance.ROUTED


def is_wired(address: str, adapters: Iterable[Adapter]) -> bool | None:
    """Whether this computer has the address on a network cable, or by radio (False). None: the system does not tell."""
    for adapter in adapters:
        if address in (str(one.ip) for one in adapter.addresses):
            folder = _SYS_CLASS_NET / adapter.name
            if (folder / "wireless").exists() or any(map(_RADIO.search, adapter.labels)):
                return False
            return True if (folder / "device").exists() or any(map(_CABLE.search, adapter.labels)) else None
    return None


def source_of(family: int, sockaddr: tuple[Any, ...]) -> Address:
    """The address of this computer from which it sends to the address of a socket. OSError if there is no way. Sends
    nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(sockaddr)
        return _bare_address(sock.getsockname())


def distance_of(family: int, sockaddr: tuple[Any, ...], adapters: Iterable[Adapter]) -> Distance:
    """How far away the address of a socket is."""
    try:
        return distance(_bare_address(sockaddr), source_of(family, sockaddr), adapters)
    except OSError:
        return Distance.ROUTED


def adapters() -> tuple[Adapter, ...]:
    """The interfaces of this computer. May block for some milliseconds."""
    import ifaddr

    try:
        return tuple(_adapter(one) for one in ifaddr.get_adapters())
    except (OSError, ValueError, AssertionError):  # ifaddr fails on an interface without a netmask
        return (Adapter("", tuple(ipaddress.ip_interface(text) for text in default_route_addresses())),)


def networks(adapters: Iterable[Adapter]) -> tuple[Network, ...]:
    """The networks of these interfaces, without loopback and tunnels."""
    return tuple(
        one.network
        for adapter in adapters
        if _kind(adapter, False) != _Kind.TUNNEL
        for one in adapter.addresses
        if not one.ip.is_loopback
    )


def in_carrier_network(adapters: Iterable[Adapter]) -> bool:
    """Has an internet provider given one of these interfaces an address that is not public? Those of Tailscale look
    the same."""
    return any(
        one.ip in CARRIERS
        for adapter in adapters
        if not overlay_name(adapter)
        for one in adapter.addresses
        if one.version == 4
    )


def tunnels(adapters: Iterable[Adapter], default_route: Collection[str] = ()) -> tuple[str, ...]:
    """The names of the VPN interfaces that are in use, as the system's user interface shows them. Those of overlay
    networks are left out unless they take all traffic: they keep no other computer away."""
    return tuple(
        (adapter.name, *adapter.labels)[-1]  # the name is a GUID on Windows, and the last label that of the connection
        for adapter in adapters
        if _kind(adapter, False) == _Kind.TUNNEL
        and not all(one.ip.is_link_local for one in adapter.addresses)
        and (not overlay_name(adapter) or any(str(one.ip) in default_route for one in adapter.addresses))
    )


def default_route_addresses() -> frozenset[str]:
    """The addresses of this computer on its default routes (IPv4 and IPv6). Sends nothing."""
    found = set()
    for family, target in _REMOTE:
        with contextlib.suppress(OSError):
            found.add(str(source_of(family, (target, 9))))
    return frozenset(found)


def _adapter(one: ifaddr.Adapter) -> Adapter:
    labels = tuple(dict.fromkeys([one.nice_name, *(ip.nice_name for ip in one.ips)]))
    return Adapter(one.name, tuple(_bound_address(ip) for ip in one.ips), labels, _driver(_SYS_CLASS_NET / one.name))


def _driver(folder: pathlib.Path) -> str:
    """Which tunnel the interface with this folder of sysfs is, by the system and not by its name, which users choose
    for WireGuard. Empty for other interfaces and other systems."""
    with contextlib.suppress(OSError, ValueError):
        if "DEVTYPE=wireguard" in (folder / "uevent").read_text("ascii").splitlines():
            return "wireguard"
        if (folder / "tun_flags").exists() and (folder / "type").read_text("ascii").strip() == _ARPHRD_NONE:
            return "tun"
    return ""


def _bound_address(ip: ifaddr.IP) -> BoundAddress:
    if isinstance(ip.ip, str):
        return ipaddress.ip_interface(f"{ip.ip}/{ip.network_prefix}")
    return ipaddress.ip_interface(f"{_bare_address(ip.ip)}/{ip.network_prefix}")


def _kind(adapter: Adapter, leads_out: bool) -> _Kind:
    texts = (adapter.name, *adapter.labels)
    # Even on the default route: the other computers are in the local network.
    if adapter.driver or overlay_name(adapter) or any(_TUNNEL.search(text) for text in texts):
        return _Kind.TUNNEL
    return _Kind.INNER if any(_INNER.search(text) for text in texts) and not leads_out else _Kind.NETWORK


def _bare_address(sockaddr: tuple[Any, ...]) -> Address:
    """Without a scope, which is only valid on this computer."""
    return ipaddress.ip_address(sockaddr[0].partition("%")[0])


def _has_tailscale_v4(adapter: Adapter) -> bool:
    """Has it an address as Tailscale assigns them, without IPv6? A provider's is on another kind of interface, or the
    network is larger than one address."""
    return (adapter.driver == "tun" or bool(_POINT_TO_POINT.match(adapter.name))) and any(
        one.ip in CARRIERS and one.network.prefixlen == one.max_prefixlen
        for one in adapter.addresses
        if one.version == 4
    )


def _is_zerotier(one: BoundAddress) -> bool:
    """Is this an address by which ZeroTier numbers a network (RFC 4193)? fd, the network (64 bits), 9993, the node."""
    octets = one.ip.packed
    return one.network.prefixlen == 88 and octets[0] == 0xFD and octets[9:11] == b"\x99\x93"


def _tier(kind: _Kind, link_local: bool) -> int:
    """Addresses of a higher tier are only used if there are none of a lower one."""
    if not link_local:
        return 2 if kind == _Kind.INNER else 0
    return 1 if kind == _Kind.NETWORK else 3


def is_wireless(address: str) -> bool:
    """Is the interface with this address known to be a radio? Only Linux tells it. May block for some milliseconds."""
    names = (one.name for one in adapters() if any(str(ip.ip) == address.partition("%")[0] for ip in one.addresses))
    return any((_SYS_CLASS_NET / name / sign).exists() for name in names for sign in ("wireless", "phy80211"))
