"""Simulates several machines: a network namespace each, on one Ethernet switch, with a cable that can be pulled.

Needs root and iproute2; `unavailable` says why it cannot be. Addresses are in 10.79.0.0/24, inside the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from tests.support.programs import Program

PREFIX = f"pl{os.getpid()}"


def iproute(*words: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def unavailable() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if sys.platform != "linux" or not shutil.which("ip"):
        return "network namespaces need Linux and iproute2"
    try:
        iproute("netns", "add", f"{PREFIX}try")
        iproute("netns", "del", f"{PREFIX}try")
    except (OSError, subprocess.CalledProcessError):
        return "this user may not make network namespaces"
    return ""


def namespace(name: str) -> str:
    """The namespace of a machine."""
    return f"{PREFIX}{name}"


class Namespaces:
    """Machines with programs on them, as a context manager. At its end all programs on them end."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ip(self, name: str, command: str) -> None:
        """Run a command of iproute2 on a machine."""
        iproute("-n", namespace(name), *command.split())

    def prefix(self, name: str) -> tuple[str, ...]:
        """What runs a command on a machine, before the command's words."""
        return ("ip", "netns", "exec", namespace(name))

    def start(self, name: str, *arguments: str, sound: Sequence[str] = ("--backend", "null")) -> Program:
        """Start phaselock on a machine, with its own home. `sound`: the options of its output."""
        home = self._folder / name
        program = Program(*arguments, *sound, "--as", name, prefix=self.prefix(name), home=home)
        self._stack.callback(program.close)
        return program

    def call(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run phaselock on a machine until it ends."""
        return subprocess.run(
            [*self.prefix(name), sys.executable, "-m", "phaselock", *arguments],
            env={**os.environ, "PHASELOCK_HOME": os.fspath(self._folder / name)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def _add(self, name: str) -> str:
        machine = namespace(name)
        iproute("netns", "add", machine)
        self._stack.callback(iproute, "netns", "del", machine)
        return machine

    def _build(self) -> None:
        """Make all machines and networks."""
        raise NotImplementedError


class Machines(Namespaces):
    """The machines of these names on one switch."""

    def __init__(self, folder: pathlib.Path, *names: str) -> None:
        super().__init__(folder)
        self._names = names

    def _build(self) -> None:
        switch = self._add("switch")
        iproute("-n", switch, "link", "add", "lan0", "type", "bridge")
        iproute("-n", switch, "link", "set", "lan0", "up")
        for number, name in enumerate(self._names, 1):
            machine = self._add(name)
            iproute(*f"link add lan0 netns {machine} type veth peer name port{number} netns {switch}".split())
            iproute("-n", switch, "link", "set", f"port{number}", "master", "lan0", "up")
            iproute("-n", machine, "addr", "add", f"10.79.0.{number}/24", "dev", "lan0")
            iproute("-n", machine, "link", "set", "lo", "up")
            self.cable(name, plugged=True)

    def address(self, name: str) -> str:
        return f"10.79.0.{self._names.index(name) + 1}"

    def cable(self, name: str, *, plugged: bool) -> None:
        """Pull or plug the network cable of a machine."""
        machine = namespace(name)
        iproute("-n", machine, "link", "set", "lan0", "up" if plugged else "down")
        if plugged:
            iproute("-n", machine, "route", "replace", "224.0.0.0/4", "dev", "lan0")

    def slow_ports(self, mbit: float) -> None:
        """Limit the rate of all ports of the switch, in both directions. Needs tc."""
        for number, name in enumerate(self._names, 1):
            for machine, device in ((name, "lan0"), ("switch", f"port{number}")):
                shape = f"tc -n {namespace(machine)} qdisc add dev {device} root tbf rate {mbit:g}mbit burst 16kb"
                subprocess.run([*shape.split(), "latency", "50ms"], check=True)

    def move(self, name: str, address: str) -> None:
        """Give a machine another address, as a DHCP server or another network does."""
        self.ip(name, "addr flush dev lan0 scope global")
        self.ip(name, f"addr add {address} dev lan0")
        self.cable(name, plugged=True)

    def behind_router(self, name: str, blocked_udp_port: int) -> None:
        """Put a machine into a network of its own, behind a router that loses packets to this UDP port."""
        switch, others = namespace("switch"), [other for other in self._names if other != name]
        iproute("-n", switch, "addr", "add", "10.79.0.254/24", "dev", "lan0")
        iproute("-n", switch, "addr", "add", "10.80.0.254/24", "dev", "lan0")
        settings = (
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.lan0.send_redirects=0",
        )
        subprocess.run(["ip", "netns", "exec", switch, "sysctl", "-qw", *settings], check=True)
        self.move(name, "10.80.0.1/24")
        self.ip(name, "route add default via 10.80.0.254")
        for other in others:
            self.ip(other, "route add default via 10.79.0.254")
        rule = f"rule add pref 10 ipproto udp dport {blocked_udp_port} blackhole"
        iproute("-n", switch, *rule.split())

    def small_packets_only(self, name: str) -> None:
        """The network loses packets of more than 1280 bytes to this machine, without notice."""
        for machine in self._names:  # the kernel gives the switch several packets at once as a large one
            self.ip(machine, "link set lan0 gso_max_segs 1")
        iproute("-n", namespace("switch"), "link", "set", f"port{self._names.index(name) + 1}", "mtu", "1280")


@contextlib.contextmanager
def asleep(program: Program):  # type: ignore[no-untyped-def]
    """Suspend the process while the block lasts."""
    os.kill(program.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(program.process.pid, signal.SIGCONT)
