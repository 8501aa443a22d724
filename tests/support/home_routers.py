"""Simulates homes on the internet: machines behind routers of their own, which translate addresses (nftables).

The routers are asked for ports by UPnP, NAT-PMP and PCP (miniupnpd). Home number N, from 1:

    its machines 192.168.N.2, .3 … -- 192.168.N.1 router 45.32.N.1 -- 45.32.0.1 internet

Behind a landlord's router the home's router has 10.0.N.2 outside, behind a carrier's 100.64.N.2; the outer router then
has 45.32.N.1. With IPv6 the machines also have 2a02:c207:N::2, ::3 …, and the router lets nothing in uninvited. The
addresses look like public ones because miniupnpd maps no ports of others. Nothing leaves the namespaces.

Needs root, iproute2, nftables and miniupnpd; `unavailable` says what is missing.
"""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import shutil
import subprocess
import time
from collections.abc import Set

from tests.support import machines
from tests.support.machines import Namespaces, iproute, namespace

TIMEOUT_S = 10.0
RULES_S = 60.0
"""How long a program may take to ask for a port, in seconds."""
INTERNET = "internet"
"""The name of the machine in the middle of the internet, at 45.32.0.1."""
STRANGERS = tuple(f"45.32.0.{number}" for number in range(11, 19))
"""More addresses of the same machine."""


class Way(enum.Enum):
    """A protocol by which a router gives ports."""

    UPNP = enum.auto()
    NAT_PMP = enum.auto()
    PCP = enum.auto()


class Uplink(enum.Enum):
    """What is between a home's router and the internet."""

    NOTHING = enum.auto()
    LANDLORD = enum.auto()
    """A second router, which gives no ports."""
    CARRIER = enum.auto()
    """The same, and the home's router has an outer address in 100.64.0.0/10."""


ALL_WAYS = frozenset(Way)


@dataclasses.dataclass(frozen=True, slots=True)
class Home:
    """A home with these machines."""

    machines: tuple[str, ...]
    ways: Set[Way] = ALL_WAYS
    """The protocols that its router speaks."""
    uplink: Uplink = Uplink.NOTHING
    lease_s: tuple[int, int] = (120, 86400)
    """The shortest and the longest lease that the router gives by NAT-PMP and PCP, in seconds."""
    network: str = ""
    """The first three numbers of the home's private addresses, if others than 192.168.N."""
    ipv6: bool = False


_RULES = """
table inet filter {{
  chain input {{
    type filter hook input priority 0; policy accept;
    ct state established,related accept
    {silent}
    iifname wan meta l4proto {{ tcp, udp }} drop
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname lan0 accept
    meta l4proto ipv6-icmp accept
    jump miniupnpd
  }}
  chain miniupnpd {{ }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    meta nfproto ipv4 oifname wan masquerade
    jump postrouting_miniupnpd
  }}
  chain prerouting_miniupnpd {{ }}
  chain postrouting_miniupnpd {{ }}
}}
"""
_MINIUPNPD = """
ext_ifname=wan
ext_ifname6=wan
listening_ip=lan0
http_port=5555
enable_upnp={upnp}
enable_natpmp={natpmp}
min_lifetime={least_s}
max_lifetime={most_s}
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
lease_file={leases}
uuid=00000000-0000-0000-0000-00000000000{number}
allow 1024-65535 0.0.0.0/0 1024-65535
"""
_LOST_ADDRESS = """
table ip lost
delete table ip lost
table ip lost {{
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    ip daddr {address} drop
  }}
}}
"""
"""The provider brings no more packets for it, which neighbours still send there."""
_VERSION_BYTE = "udp dport 5351 @th,64,8"
"""The first byte after the header of UDP: 0 is NAT-PMP, 2 is PCP."""


def unavailable() -> str:
    """Why there can be no routers here; empty if there can be."""
    if missing := [name for name in ("nft", "miniupnpd") if not shutil.which(name)]:
        return f"home routers need {' and '.join(missing)}"
    return machines.unavailable()


class Homes(Namespaces):
    """Homes on the internet, as a context manager. At its end all programs in them end."""

    def __init__(self, folder: pathlib.Path, *homes: Home) -> None:
        """`folder` receives the homes of the programs, and the routers' settings and logs."""
        super().__init__(folder)
        self._homes = homes
        self._daemons: dict[int, subprocess.Popen[bytes]] = {}
        self._public = {number: f"45.32.{number}.1" for number in range(1, len(homes) + 1)}

    def _build(self) -> None:
        internet = self._add(INTERNET)
        self._switch(internet)
        for address in ("45.32.0.1", *STRANGERS):
            self._address(internet, "lan0", f"{address}/16")
        for number, home in enumerate(self._homes, 1):
            if home.uplink is not Uplink.NOTHING:
                self._switch(self._add(f"uplink{number}"))
                self._add_router(f"outer{number}", number, f"{self._outer_network(number)}.1", self._public[number])
            switch = self._add(f"switch{number}")
            self._switch(switch)
            for place, name in enumerate(home.machines, 2):
                machine = self._add(name)
                self._cable(machine, "lan0", switch, f"port{place}")
                self._address(machine, "lan0", f"{self.network(number)}.{place}/24")
                iproute("-n", machine, "link", "set", "lo", "up")
                self.ip(name, f"route add default via {self.network(number)}.1")
                self.ip(name, "route add 224.0.0.0/4 dev lan0")
                if home.ipv6:
                    self._address(machine, "lan0", f"2a02:c207:{number}::{place}/64")
                    self.ip(name, f"-6 route add default via 2a02:c207:{number}::1")
            self.start_router(number)

    # -- where things are ----------------------------------------------------------------------------------------------

    def network(self, number: int) -> str:
        """The first three numbers of the private addresses of a home."""
        return self._homes[number - 1].network or f"192.168.{number}"

    def address(self, name: str) -> str:
        """The private address of a machine."""
        for number, home in enumerate(self._homes, 1):
            if name in home.machines:
                return f"{self.network(number)}.{home.machines.index(name) + 2}"
        raise KeyError(name)

    def public(self, number: int) -> str:
        """The address at which the internet sees a home now."""
        return self._public[number]

    def router(self, number: int) -> str:
        """The name of the router of a home, for `ip` and `prefix`."""
        return f"router{number}"

    def rules(self, number: int) -> str:
        """The mappings and pinholes that the router of a home has now, as nftables lists them; empty without any."""
        chains = ("miniupnpd", "prerouting_miniupnpd")
        listed = (self._nft(self.router(number), f"list chain inet filter {chain}").splitlines() for chain in chains)
        return "\n".join(line.strip() for lines in listed for line in lines if "port" in line)

    def wait_for_rules(self, number: int) -> None:
        """Wait until a program in this home has asked the router for a port."""
        until = time.monotonic() + RULES_S
        while not self.rules(number):
            assert time.monotonic() < until, "the router has opened no port"
            time.sleep(0.05)

    # -- what happens to routers ---------------------------------------------------------------------------------------

    def start_router(self, number: int) -> None:
        """Start the router of a home, which then knows no mappings and no connections."""
        home, router = self._homes[number - 1], self.router(number)
        inner = f"{self.network(number)}.1"
        if home.uplink is Uplink.NOTHING:
            self._add_router(router, number, inner, self._public[number])
        else:
            self._add_router(router, number, inner, f"{self._outer_network(number)}.2", behind=f"uplink{number}")
        if home.ipv6:
            self._address(namespace(router), "lan0", f"2a02:c207:{number}::1/64")
            self._address(namespace(router), "wan", f"2a02:c207:ffff::{number}/64")
            for other in range(1, len(self._homes) + 1):
                if other != number:
                    self.ip(router, f"-6 route add 2a02:c207:{other}::/64 via 2a02:c207:ffff::{other}")
        if home.ways:
            self._start_daemon(number, home)

    def stop_router(self, number: int) -> None:
        """Switch the router of a home off. The home's machines keep their network."""
        self._stop_daemon(number)
        router = namespace(self.router(number))
        for port in ("wan", "lan0"):
            iproute("-n", router, "link", "del", port)
        iproute("netns", "del", router)

    def restart_router(self, number: int, off_s: float = 0.0) -> None:
        """Switch the router of a home off, and on again after this time in seconds."""
        self.stop_router(number)
        time.sleep(off_s)
        self.start_router(number)

    def restart_daemon(self, number: int) -> None:
        """Restart only what is asked for ports; the mappings are lost, connections stay."""
        self._stop_daemon(number)
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            self._nft(self.router(number), f"flush chain inet filter {chain}")
        self._start_daemon(number, self._homes[number - 1])

    def change_public(self, number: int, last: int = 2) -> None:
        """Give a home another public address, 45.32.N.`last`, as a provider does at night."""
        old, self._public[number] = self._public[number], f"45.32.{number}.{last}"
        router = f"outer{number}" if self._homes[number - 1].uplink is not Uplink.NOTHING else self.router(number)
        self._nft(router, "-f", "-", rules=_LOST_ADDRESS.format(address=old))
        self.ip(router, f"addr del {old}/16 dev wan")
        self.ip(router, f"addr add {self._public[number]}/16 dev wan")
        self.ip(router, "route replace default via 45.32.0.1")

    def shape_uplink(self, number: int, rate: str, queue_ms: int) -> None:
        """Limit what a home sends to a rate ("10mbit"), with a queue of this length before it."""
        words = f"qdisc replace dev wan root tbf rate {rate} burst 16k latency {queue_ms}ms"
        subprocess.run(["tc", "-n", namespace(self.router(number)), *words.split()], check=True, capture_output=True)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _outer_network(self, number: int) -> str:
        carrier = self._homes[number - 1].uplink is Uplink.CARRIER
        return f"100.64.{number}" if carrier else f"10.0.{number}"

    def _add_router(self, router: str, number: int, inner: str, outer: str, behind: str = INTERNET) -> None:
        """A router between two switches. `behind` is the one outside."""
        name = namespace(router)
        iproute("netns", "add", name)
        self._stack.callback(self._remove_router, router)
        iproute("-n", name, "link", "set", "lo", "up")
        inside = f"uplink{number}" if router.startswith("outer") else f"switch{number}"
        kind = 1 if router.startswith("outer") else 2
        self._cable(name, "wan", namespace(behind), f"{router}out", f"02:00:00:00:{kind:02x}:{number:02x}")
        self._cable(name, "lan0", namespace(inside), f"{router}in", f"02:00:00:01:{kind:02x}:{number:02x}")
        self._address(name, "lan0", f"{inner}/24")
        at_internet = behind == INTERNET
        self._address(name, "wan", f"{outer}/{16 if at_internet else 24}")
        gateway = "45.32.0.1" if at_internet else f"{self._outer_network(number)}.1"
        self.ip(router, f"route add default via {gateway}")
        settings = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0")
        subprocess.run([*self.prefix(router), "sysctl", "-qw", *settings], check=True)
        ways = self._homes[number - 1].ways
        silent = [
            f"{_VERSION_BYTE} {version} drop" for way, version in ((Way.NAT_PMP, 0), (Way.PCP, 2)) if way not in ways
        ]
        self._nft(router, "-f", "-", rules=_RULES.format(silent="\n    ".join(silent)))

    def _remove_router(self, router: str) -> None:
        """Delete its namespace, which the end of a test may have done."""
        subprocess.run(["ip", "netns", "del", namespace(router)], check=False, capture_output=True)

    def _start_daemon(self, number: int, home: Home) -> None:
        files = self._folder / "routers"
        files.mkdir(exist_ok=True)
        settings, log, leases = (files / f"{number}.{kind}" for kind in ("conf", "log", "leases"))
        leases.unlink(missing_ok=True)
        upnp, natpmp = Way.UPNP in home.ways, bool(home.ways - {Way.UPNP})
        least_s, most_s = home.lease_s
        settings.write_text(
            _MINIUPNPD.format(
                upnp="yes" if upnp else "no",
                natpmp="yes" if natpmp else "no",
                least_s=least_s,
                most_s=most_s,
                leases=leases,
                number=number,
            )
        )
        command = [*self.prefix(self.router(number)), "miniupnpd", "-d", "-f", settings, "-P", files / f"{number}.pid"]
        with log.open("wb") as output:
            self._daemons[number] = subprocess.Popen(command, stdout=output, stderr=output)
        self._stack.callback(self._stop_daemon, number)
        expected = ["HTTP listening"] * upnp + ["Listening for NAT-PMP"] * natpmp
        until = time.monotonic() + TIMEOUT_S
        while not all(words in log.read_text() for words in expected):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)

    def _stop_daemon(self, number: int) -> None:
        if daemon := self._daemons.pop(number, None):
            daemon.kill()
            daemon.wait(TIMEOUT_S)

    def _switch(self, machine: str) -> None:
        iproute("-n", machine, "link", "add", "lan0", "type", "bridge")
        for name in ("lan0", "lo"):
            iproute("-n", machine, "link", "set", name, "up")

    def _cable(self, machine: str, name: str, switch: str, port: str, mac: str = "") -> None:
        """A network interface of a machine, plugged into the one switch of a namespace."""
        mac_words = f"address {mac}" if mac else ""
        iproute(*f"link add {name} {mac_words} netns {machine} type veth peer name {port} netns {switch}".split())
        iproute("-n", switch, "link", "set", port, "master", "lan0", "up")
        iproute("-n", machine, "link", "set", name, "up")

    def _address(self, machine: str, interface: str, address: str) -> None:
        nodad = ["nodad"] if ":" in address else []
        iproute("-n", machine, "addr", "add", address, "dev", interface, *nodad)

    def _nft(self, router: str, *words: str, rules: str | None = None) -> str:
        command = [*self.prefix(router), "nft", *(word for given in words for word in given.split())]
        return subprocess.run(command, input=rules, check=True, capture_output=True, text=True).stdout
