"""The child process at a real router (miniupnpd) in network namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from phaselock.internet.state import Pinhole, Problem, RouterState, Way, from_json
from phaselock.model.invitation import Nat
from tests.support import home_routers
from tests.support.home_routers import ALL_WAYS, Home, Homes, Uplink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(home_routers.unavailable()), reason=home_routers.unavailable() or "they can be simulated"),
]
MAP = {"map": {"tcp": [17404, 17401], "udp": [17402, 17402]}}
TIMEOUT_S = 120.0
BOTH = {"17401", "17402"}
OLD_S = 4.0
"""A router that runs for longer than this shows that it was restarted: RFC 6887 lets clocks be wrong by two seconds."""
CODE = "from phaselock.internet.mapper_process import main; main()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CODE!r}], stdin=subprocess.PIPE, start_new_session=True)
child.stdin.write({json.dumps(MAP)!r}.encode() + b"\\n")
child.stdin.flush()
child.wait()
"""


class Child:
    """A process on a machine, and the states that it tells."""

    def __init__(self, homes: Homes, machine: str, code: str = CODE) -> None:
        environment = {**os.environ, "PYTHONPATH": os.fspath(pathlib.Path(__file__).parent.parent.parent)}
        command = [*homes.prefix(machine), sys.executable, "-P", "-c", code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._states: queue.SimpleQueue[RouterState] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def say(self, line: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, fits: Callable[[RouterState], bool]) -> RouterState:
        while True:
            state = self._states.get(timeout=TIMEOUT_S)
            if fits(state):
                return state

    def wait_until_told(self, state: RouterState) -> None:
        self.wait_for(lambda told: told == state)

    def told_nothing_more(self) -> bool:
        return self._states.empty()

    def close(self) -> None:
        """The end of its input. Returns when it has ended."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(TIMEOUT_S)
        self._reader.join()
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._states.put(from_json(json.loads(line)["state"]))


@contextlib.contextmanager
def child(homes: Homes) -> Iterator[Child]:
    """A process on Ana's machine that wants ports."""
    one = Child(homes, "Ana")
    try:
        one.say(MAP)
        yield one
    finally:
        one.close()


def open_ports(homes: Homes, number: int = 1) -> set[str]:
    """The public ports that the router of a home has open now, of those that are wanted."""
    rules = homes.rules(number)
    return {port for port in BOTH if f"dport {port} dnat" in rules}


def has_ports(state: RouterState) -> bool:
    return state.tcp != 0


def mapped(way: Way, public: str) -> RouterState:
    return RouterState(way, Nat.OPEN, "192.168.1.1", public, 17401, 17402)


@pytest.mark.parametrize(
    ("router", "way"),
    [(home_routers.Way.PCP, Way.PCP), (home_routers.Way.NAT_PMP, Way.NAT_PMP), (home_routers.Way.UPNP, Way.UPNP)],
    ids=["pcp", "nat-pmp", "upnp"],
)
def test_each_way_alone(tmp_path: pathlib.Path, router: home_routers.Way, way: Way) -> None:
    with Homes(tmp_path, Home(("Ana",), frozenset({router}))) as homes:
        with child(homes) as one:
            one.wait_until_told(mapped(way, homes.public(1)))
            assert open_ports(homes) == BOTH
        assert open_ports(homes) == set()


def test_ports_stay_open_over_three_short_leases(tmp_path: pathlib.Path) -> None:
    """Each way at a home of its own. By UPnP the client says how long a lease is."""
    lease_s = 4
    short = "from phaselock.internet import igd, mapper; igd.LEASE_S = mapper.LEASE_S = 4; " + CODE
    ways = list(home_routers.Way)
    with Homes(tmp_path, *(Home((way.name,), frozenset({way}), lease_s=(3, lease_s)) for way in ways)) as homes:
        children = [Child(homes, way.name, short) for way in ways]
        try:
            for one in children:
                one.say(MAP)
            for one in children:
                one.wait_for(has_ports)
            until_s = time.monotonic() + 3 * lease_s + 1
            while time.monotonic() < until_s:
                for number in (1, 2, 3):
                    # To renew a mapping of PCP, miniupnpd removes it and adds it again.
                    assert open_ports(homes, number) | open_ports(homes, number) == BOTH
                time.sleep(0.2)
            assert all(one.told_nothing_more() for one in children)
        finally:
            for one in children:
                one.close()


def test_the_router_is_restarted_and_then_has_another_public_address(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",))) as homes, child(homes) as one:
        one.wait_for(has_ports)
        time.sleep(OLD_S)
        homes.restart_daemon(1)
        until_s = time.monotonic() + TIMEOUT_S
        while open_ports(homes) != BOTH:
            assert time.monotonic() < until_s
            time.sleep(0.2)
        homes.change_public(1)
        one.wait_until_told(mapped(Way.PCP, homes.public(1)))
        assert open_ports(homes) == BOTH


@pytest.mark.parametrize(
    ("uplink", "kind", "public"),
    [(Uplink.LANDLORD, Nat.DOUBLE, "10.0.1.2"), (Uplink.CARRIER, Nat.CARRIER, "100.64.1.2")],
    ids=["double", "carrier"],
)
def test_another_nat_is_outside(tmp_path: pathlib.Path, uplink: Uplink, kind: Nat, public: str) -> None:
    with Homes(tmp_path, Home(("Ana",), ALL_WAYS, uplink)) as homes, child(homes) as one:
        one.wait_until_told(RouterState(Way.NONE, kind, "192.168.1.1", public, problem=Problem.NO_PUBLIC_ADDRESS))


def test_a_carriers_nat_behind_a_router_that_says_nothing(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",), frozenset(), Uplink.CARRIER)) as homes, child(homes) as one:
        one.wait_until_told(RouterState(Way.NONE, Nat.CARRIER, "192.168.1.1", problem=Problem.NO_ANSWER))


def test_a_router_without_any_way(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",), frozenset())) as homes, child(homes) as one:
        one.wait_until_told(RouterState(Way.NONE, Nat.HOME, "192.168.1.1", problem=Problem.NO_ANSWER))


def test_ipv6_pinholes(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",), ipv6=True)) as homes:
        with child(homes) as one:
            state = one.wait_for(lambda state: bool(state.pinholes))
            assert state.pinholes == (Pinhole("2a02:c207:1::2", 17404, 17402),)
        assert homes.rules(1) == ""


def test_a_parent_that_is_killed_leaves_no_port_open(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",))) as homes:
        parent = Child(homes, "Ana", PARENT)
        parent.wait_for(has_ports)
        assert open_ports(homes) == BOTH
        parent.process.kill()
        parent.close()
        until_s = time.monotonic() + TIMEOUT_S
        while homes.rules(1):
            assert time.monotonic() < until_s
            time.sleep(0.05)


def test_a_port_of_another_machine_is_left_alone(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana", "Ben"))) as homes:
        other = Child(homes, "Ben")
        try:
            other.say(MAP)
            other.wait_for(has_ports)
            with child(homes) as one:
                state = one.wait_for(has_ports)
                assert state.tcp not in (0, 17401) and state.udp not in (0, 17402)
            assert open_ports(homes) == BOTH
        finally:
            other.close()
