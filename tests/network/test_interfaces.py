from __future__ import annotations

import dataclasses
import ipaddress
import pathlib
import socket
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.network import interfaces as module
from phaselock.network.interfaces import (
    MAX_ADDRESSES,
    Adapter,
    Distance,
    OverlayAddress,
    distance,
    distance_of,
    in_carrier_network,
    networks,
    overlay_addresses,
    overlay_name,
    rank,
    reachable_first,
    tunnels,
    usable_addresses,
    usable_overlays,
)


def adapter(name: str, *addresses: str, labels: tuple[str, ...] = ()) -> Adapter:
    return Adapter(name, tuple(map(ipaddress.ip_interface, addresses)), labels)


LOOPBACK = adapter("lo", "127.0.0.1/8", "::1/128")
DOCKER = adapter("docker0", "172.17.0.1/16", "fe80::42:1/64")
BRIDGE = adapter("br-0a1b2c3d", "172.18.0.1/16")
LAN = adapter("eth0", "192.168.1.5/24", "fd12::5/64", "fe80::5/64")
WIFI = adapter("wlan0", "192.168.7.9/24")
VPN = adapter("tun0", "10.8.0.2/24")


@pytest.mark.parametrize(
    ("adapters", "default_route", "usable"),
    [
        ([], (), ()),
        ([LOOPBACK], (), ()),
        ([LOOPBACK, LAN], (), ("192.168.1.5", "fd12::5")),
        ([LOOPBACK, DOCKER, BRIDGE, LAN], (), ("192.168.1.5", "fd12::5")),
        ([LOOPBACK, DOCKER, BRIDGE], (), ("172.17.0.1", "172.18.0.1")),
        ([VPN, LAN], (), ("192.168.1.5", "fd12::5", "10.8.0.2")),
        ([VPN, LAN], ("10.8.0.2",), ("192.168.1.5", "fd12::5", "10.8.0.2")),
        ([VPN, DOCKER], (), ("10.8.0.2",)),
        ([LAN, WIFI], (), ("192.168.1.5", "192.168.7.9", "fd12::5")),
        ([LAN, WIFI], ("192.168.7.9",), ("192.168.7.9", "192.168.1.5", "fd12::5")),
        ([adapter("eth0", "2001:db8::5/64", "fd12::5/64", "fe80::5/64")], (), ("2001:db8::5", "fd12::5")),
        ([adapter("eth0", "fe80::5/64")], (), ("fe80::5",)),
        ([DOCKER, adapter("eth0", "169.254.3.4/16")], (), ("169.254.3.4",)),
        ([LAN, adapter("usb0", "169.254.3.4/16")], (), ("192.168.1.5", "fd12::5")),
        ([adapter("br-lan", "192.168.1.1/24"), DOCKER], ("192.168.1.1",), ("192.168.1.1",)),
        ([adapter("br0", "192.168.1.1/24")], (), ("192.168.1.1",)),
        ([adapter("eth0", "192.168.1.5/24"), adapter("eth0:1", "192.168.1.5/24")], (), ("192.168.1.5",)),
    ],
    ids=[
        "nothing",
        "only loopback",
        "a network",
        "docker beside",
        "only docker",
        "a tunnel beside",
        "a tunnel that leads out",
        "a tunnel and docker",
        "two networks",
        "two networks, one leads out",
        "only IPv6",
        "only link-local",
        "a bare cable and docker",
        "a bare cable beside",
        "a bridge that leads out",
        "a bridge of its owner's",
        "twice",
    ],
)
def test_ranking(adapters: list[Adapter], default_route: tuple[str, ...], usable: tuple[str, ...]) -> None:
    assert rank(adapters, default_route) == usable


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("virbr0", ()),
        ("veth12ab", ()),
        ("vmnet8", ()),
        ("vboxnet0", ()),
        ("lxdbr0", ()),
        ("podman1", ()),
        ("cni0", ()),
        ("flannel.1", ()),
        ("bridge100", ()),
        ("{1}", ("Hyper-V Virtual Ethernet Adapter #2", "vEthernet (WSL (Hyper-V firewall))")),
        ("{1}", ("Hyper-V Virtual Ethernet Adapter", "vEthernet (Default Switch)")),
        ("{1}", ("VirtualBox Host-Only Ethernet Adapter", "Ethernet 3")),
        ("{1}", ("VMware Virtual Ethernet Adapter for VMnet8", "VMware Network Adapter VMnet8")),
    ],
)
def test_interfaces_of_virtual_machines_are_left_out(name: str, labels: tuple[str, ...]) -> None:
    assert rank([adapter(name, "10.0.0.1/8", labels=labels), WIFI]) == ("192.168.7.9",)
    assert rank([adapter(name, "10.0.0.1/8", labels=labels)]) == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("wg0", ()),
        ("utun4", ()),
        ("ztabcdef", ()),
        ("tailscale0", ()),
        ("{1}", ("WireGuard Tunnel", "home")),
        ("{1}", ("TAP-Windows Adapter V9", "Ethernet 2")),
    ],
)
def test_tunnels_come_last(name: str, labels: tuple[str, ...]) -> None:
    assert rank([adapter(name, "10.0.0.1/8", labels=labels), WIFI], ("10.0.0.1",)) == ("192.168.7.9", "10.0.0.1")


TAILSCALE = adapter("tailscale0", "100.101.102.103/32", "fd7a:115c:a1e0::1234/128", "fe80::7/64")
ZEROTIER = adapter("ztabcdef12", "10.147.17.9/24")


@pytest.mark.parametrize(
    ("found", "overlay"),
    [
        (TAILSCALE, "Tailscale"),
        (adapter("utun4", "100.101.102.103/32", "fd7a:115c:a1e0:ab12:4843:cd96:6265:6667/48"), "Tailscale"),
        (adapter("utun4", "100.101.102.103/32"), "Tailscale"),
        (dataclasses.replace(adapter("friends", "100.101.102.103/32"), driver="tun"), "Tailscale"),
        (adapter("{1}", "100.101.102.103/32", labels=("Tailscale Tunnel", "Tailscale")), "Tailscale"),
        (ZEROTIER, "ZeroTier"),
        (adapter("feth2310", "10.147.17.9/24"), "ZeroTier"),
        (adapter("eth9", "10.147.17.9/24", "fd80:56c2:e21c:0:199:9312:3456:7890/88"), "ZeroTier"),
        (adapter("eth9", "fd80:56c2:e21c:0:199:9312:3456:7890/64"), ""),
        (
            adapter("{1}", "10.147.17.9/24", labels=("ZeroTier Virtual Port", "ZeroTier One [8056c2e21c000001]")),
            "ZeroTier",
        ),
        (adapter("wg0", "10.8.0.2/24"), "WireGuard"),
        (adapter("wg-home", "10.8.0.2/24"), "WireGuard"),
        (dataclasses.replace(adapter("office", "10.8.0.2/24"), driver="wireguard"), "WireGuard"),
        (adapter("{1}", "10.8.0.2/24", labels=("WireGuard Tunnel", "home")), "WireGuard"),
        (VPN, ""),
        (LAN, ""),
        (adapter("ppp0", "100.70.1.2/32"), ""),
        (adapter("wwan0", "100.70.1.2/30"), ""),
        (adapter("utun3", "100.70.1.2/16"), ""),
        (adapter("eth0", "100.70.1.2/10"), ""),
    ],
)
def test_overlay_networks(found: Adapter, overlay: str) -> None:
    assert overlay_name(found) == overlay
    if overlay:  # never before the network of the room, also on the default route
        assert rank([found, WIFI], [str(one.ip) for one in found.addresses])[0] == "192.168.7.9"
        assert networks([found, WIFI]) == networks([WIFI])


def test_the_addresses_in_overlay_networks() -> None:
    wireguard = adapter("wg0", "fd99::2/64", "10.8.0.2/24")
    found = [LOOPBACK, TAILSCALE, LAN, ZEROTIER, VPN, wireguard]
    assert overlay_addresses(found) == (
        OverlayAddress("Tailscale", "100.101.102.103"),
        OverlayAddress("Tailscale", "fd7a:115c:a1e0::1234"),
        OverlayAddress("ZeroTier", "10.147.17.9"),
        OverlayAddress("WireGuard", "10.8.0.2"),
        OverlayAddress("WireGuard", "fd99::2"),
    )
    # With an exit node, Tailscale takes all traffic, and the friends are still there. A WireGuard that does leads
    # elsewhere.
    assert [one.overlay for one in overlay_addresses(found, ("100.101.102.103",))] == [
        "Tailscale",
        "Tailscale",
        "ZeroTier",
        "WireGuard",
        "WireGuard",
    ]
    assert [one.overlay for one in overlay_addresses(found, ("10.8.0.2",))] == ["Tailscale", "Tailscale", "ZeroTier"]


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("", ["100.101.102.103", "10.147.17.9", "fd99::2"]),
        ("::", ["100.101.102.103", "10.147.17.9", "fd99::2"]),
        ("0.0.0.0", ["100.101.102.103", "10.147.17.9"]),
        ("192.168.1.5", []),
        ("127.0.0.1", []),
    ],
)
def test_one_address_for_each_overlay_network(bind: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = (LOOPBACK, TAILSCALE, LAN, ZEROTIER, VPN, adapter("wg0", "fd99::2/64"))
    monkeypatch.setattr(module, "adapters", lambda: found)
    assert [one.address for one in usable_overlays(bind)] == expected


def test_tailscale_is_no_network_of_a_provider() -> None:
    assert not in_carrier_network([TAILSCALE, LAN])
    assert in_carrier_network([TAILSCALE, adapter("wwan0", "100.70.1.2/30")])
    assert in_carrier_network([adapter("ppp0", "100.70.1.2/32")])


def test_linux_tells_which_interface_is_a_tunnel(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "office": {"uevent": "DEVTYPE=wireguard\nINTERFACE=office\nIFINDEX=3\n", "type": "65534\n"},
        "friends": {"uevent": "INTERFACE=friends\n", "type": "65534\n", "tun_flags": "0x1001\n"},
        "guest": {"uevent": "INTERFACE=guest\n", "type": "1\n", "tun_flags": "0x1002\n"},
        "modem": {"uevent": "DEVTYPE=wwan\nINTERFACE=modem\n", "type": "65534\n"},
        "wlan0": {"uevent": "DEVTYPE=wlan\nINTERFACE=wlan0\n", "type": "1\n"},
    }
    for name, contents in files.items():
        (tmp_path / name).mkdir()
        for file, text in contents.items():
            (tmp_path / name / file).write_text(text)
    found = [
        types.SimpleNamespace(
            name=name, nice_name=name, ips=[types.SimpleNamespace(ip="10.0.0.1", network_prefix=8, nice_name=name)]
        )
        for name in (*files, "gone")
    ]
    monkeypatch.setattr("ifaddr.get_adapters", lambda: found)
    monkeypatch.setattr(module, "_SYS_CLASS_NET", tmp_path)
    assert {one.name: one.driver for one in module.adapters()} == {
        "office": "wireguard",
        "friends": "tun",
        "guest": "",
        "modem": "",
        "wlan0": "",
        "gone": "",
    }
    office = Adapter("office", (ipaddress.ip_interface("10.0.0.1/32"),), driver="wireguard")
    assert rank([office, WIFI], ("10.0.0.1",)) == ("192.168.7.9", "10.0.0.1")


def test_a_session_found_in_two_networks_is_reached_in_that_of_the_room() -> None:
    told = ["10.147.17.5", "192.168.1.9", "100.101.7.7"]
    mine = networks([ZEROTIER, TAILSCALE, LAN])
    assert reachable_first(map(ipaddress.ip_address, told), mine)[0] == "192.168.1.9"


@pytest.mark.parametrize(
    ("address", "source", "expected"),
    [
        ("192.168.1.20", "192.168.1.5", Distance.ROOM),
        ("fd12::20", "fd12::5", Distance.ROOM),
        ("fe80::20", "fe80::5", Distance.ROOM),
        ("45.32.1.1", "192.168.1.5", Distance.ROUTED),
        ("192.168.7.20", "192.168.1.5", Distance.ROUTED),
        ("45.32.1.1", "10.8.0.2", Distance.TUNNEL),
        ("100.101.7.7", "100.101.102.103", Distance.TUNNEL),
        ("10.147.17.7", "10.147.17.9", Distance.TUNNEL),
        ("45.32.1.1", "192.0.2.1", Distance.ROUTED),
        ("127.0.0.1", "127.0.0.1", Distance.BRIDGED),
        ("::1", "::1", Distance.BRIDGED),
    ],
)
def test_distances(address: str, source: str, expected: Distance) -> None:
    found = [LOOPBACK, TAILSCALE, ZEROTIER, VPN, LAN]
    assert distance(ipaddress.ip_address(address), ipaddress.ip_address(source), found) == expected


def test_the_distance_of_an_address_to_which_there_may_be_no_way() -> None:
    assert distance_of(socket.AF_INET, ("127.0.0.1", 1), [LOOPBACK]) == Distance.BRIDGED
    assert distance_of(socket.AF_INET, ("255.255.255.255", 1), [LOOPBACK]) == Distance.ROUTED


def test_tunnels_have_the_names_that_users_know() -> None:
    home = adapter("{8E3C1B2A-1}", "10.0.0.1/8", labels=("WireGuard Tunnel", "home"))
    idle = adapter("{8E3C1B2A-2}", "169.254.1.1/16", labels=("TAP-Windows Adapter V9", "Ethernet 2"))
    assert tunnels([LAN, VPN, home, idle], ("10.0.0.1",)) == ("tun0", "home")


def test_an_overlay_network_is_a_vpn_only_if_it_takes_all_traffic() -> None:
    assert tunnels([LAN, TAILSCALE, ZEROTIER]) == ()
    assert tunnels([LAN, TAILSCALE, ZEROTIER], ("100.101.102.103",)) == ("tailscale0",)


def test_the_switch_through_which_windows_itself_goes_out_is_a_network() -> None:
    switch = adapter("{1}", "192.168.1.5/24", labels=("Hyper-V Virtual Ethernet Adapter", "vEthernet (External)"))
    assert rank([switch, VPN]) == ("192.168.1.5", "10.8.0.2")


def test_not_more_than_a_few() -> None:
    assert len(rank([adapter("eth0", *(f"10.0.0.{n}/24" for n in range(1, 100)))])) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("bind", "usable"),
    [
        ("", ("192.168.1.5", "fd12::5")),
        ("::", ("192.168.1.5", "fd12::5")),
        ("0.0.0.0", ("192.168.1.5",)),
        ("192.0.2.1", ("192.0.2.1",)),
        ("2001:db8::1", ("2001:db8::1",)),
        ("127.0.0.1", ()),
        ("127.3.2.1", ()),
        ("::1", ()),
        ("localhost", ()),
        ("no such name\x00", ()),
    ],
)
def test_bound(bind: str, usable: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "adapters", lambda: (LOOPBACK, LAN, DOCKER))
    assert usable_addresses(bind) == usable


def test_the_interfaces_of_this_computer_can_be_ranked() -> None:
    listed = module.adapters()
    assert any(one.ip.is_loopback for found in listed for one in found.addresses)
    for text in usable_addresses():
        address = ipaddress.ip_address(text)
        assert not address.is_loopback
        assert any(address in network for network in networks(listed))


def test_an_interface_that_ifaddr_cannot_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AssertionError("sockaddr_to_ip(None) returned None")

    monkeypatch.setattr("ifaddr.get_adapters", fails)
    monkeypatch.setattr(module, "default_route_addresses", lambda: frozenset({"192.168.1.5"}))
    assert usable_addresses() == ("192.168.1.5",)


def test_adapters_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def ip(*address: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(ip=address, network_prefix=64, nice_name="Wi-Fi")

    wifi = types.SimpleNamespace(name="{1}", nice_name="Intel", ips=[ip("fe80::1%en0", 0, 7), ip("fd00::1", 0, 7)])
    monkeypatch.setattr("ifaddr.get_adapters", lambda: [wifi])
    assert module.adapters() == (adapter("{1}", "fe80::1/64", "fd00::1/64", labels=("Intel", "Wi-Fi")),)


def test_addresses_of_others() -> None:
    told = ["127.0.0.1", "0.0.0.0", "224.0.0.251", "fe80::1", "fe80::2%3", "::1", "10.9.9.9", "192.168.1.9", "fd12::9"]
    mine = networks([LOOPBACK, LAN])
    assert reachable_first(map(ipaddress.ip_address, told), mine) == ("192.168.1.9", "fd12::9", "10.9.9.9", "fe80::2%3")


@given(st.lists(st.ip_addresses(), max_size=40))
def test_any_addresses_of_others(told: list[module.Address]) -> None:
    reachable = reachable_first(told, networks([LAN]))
    assert len(reachable) <= MAX_ADDRESSES
    assert not any(ipaddress.ip_address(text).is_loopback for text in reachable)
