from __future__ import annotations

import ipaddress
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.network import interfaces as module
from phaselock.network.interfaces import (
    MAX_ADDRESSES,
    Adapter,
    networks,
    rank,
    reachable_first,
    tunnels,
    usable_addresses,
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


def test_tunnels_have_the_names_that_users_know() -> None:
    home = adapter("{8E3C1B2A-1}", "10.0.0.1/8", labels=("WireGuard Tunnel", "home"))
    idle = adapter("{8E3C1B2A-2}", "169.254.1.1/16", labels=("TAP-Windows Adapter V9", "Ethernet 2"))
    assert tunnels([LAN, VPN, home, idle]) == ("tun0", "home")


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
