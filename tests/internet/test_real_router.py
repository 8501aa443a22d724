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


RESTARTS = """
import json, os, sys
from phaselock.internet.router_mapping import RouterMapping
mapping = RouterMapping(lambda state: print(json.dumps({"state": state.to_json()}), flush=True))
mapping.map(tcp=(17404, 17401), udp=(17402, 17402))
for _ in sys.stdin:
    mapping._process._process.kill()
mapping.close()
mapping.wait(20)
"""


class Child:
    """A process on a machine, and the states that it tells."""

    def __init__(self, homes: Homes, machine: str, code: str = CODE) -> None:
        environment = {**os.environ, "PYTHONPATH": os.fspath(pathlib.Path(__file__).parent.parent.parent)}
        command = [*homes.prefix(machine), sys.executable, "-P", "-c", code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._states: queue.SimpleQueue[RouterState | None] = queue.SimpleQueue()  # None: it has ended
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def say(self, line: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, fits: Callable[[RouterState], bool]) -> RouterState:
        while True:
            state = self._states.get(timeout=TIMEOUT_S)
            assert state, "the process has ended"
            if fits(state):
                return state

    def wait_until_told(self, state: RouterState) -> None:
        self.wait_for(lambda told: told == state)

    def told_nothing_more(self) -> bool:
        try:
            return self._states.get_nowait() is None
        except queue.Empty:
            return True

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
        self._states.put(None)


@contextlib.contextmanager
def children(homes: Homes, *machines: str, code: str = CODE) -> Iterator[list[Child]]:
    """A process on each of these machines, all of which want the same ports."""
    started = [Child(homes, machine, code) for machine in machines]
    try:
        for one in started:
            one.say(MAP)
        yield started
    finally:
        for one in started:
            one.close()


def open_ports(homes: Homes, number: int = 1) -> set[str]:
    """The public ports that the router of a home has open now, of those that are wanted."""
    rules = homes.rules(number)
    return {port for port in BOTH if f"dport {port} dnat" in rules}


def wait_until(fits: Callable[[], bool]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not fits():
        assert time.monotonic() < until_s
        time.sleep(0.1)


def has_ports(state: RouterState) -> bool:
    return state.tcp != 0


def mapped(way: Way, homes: Homes, number: int = 1) -> RouterState:
    return RouterState(way, Nat.OPEN, f"192.168.{number}.1", homes.public(number), 17401, 17402)


def unmapped(number: int, kind: Nat, problem: Problem, public: str = "") -> RouterState:
    return RouterState(Way.NONE, kind, f"192.168.{number}.1", public, problem=problem)


def test_each_way_alone_over_three_short_leases(tmp_path: pathlib.Path) -> None:
    lease_s = 8
    # By UPnP the client says how long a lease is.
    short = f"from phaselock.internet import igd, mapper; igd.LEASE_S = mapper.LEASE_S = {lease_s}; {CODE}"
    ways = {home_routers.Way.PCP: Way.PCP, home_routers.Way.NAT_PMP: Way.NAT_PMP, home_routers.Way.UPNP: Way.UPNP}
    numbers, names = range(1, len(ways) + 1), [way.name for way in ways]
    here = [Home((way.name,), frozenset({way}), lease_s=(lease_s - 1, lease_s)) for way in ways]
    with Homes(tmp_path, *here) as homes:
        with children(homes, *names, code=short) as processes:
            for number, one, way in zip(numbers, processes, ways.values(), strict=True):
                one.wait_until_told(mapped(way, homes, number))
            until_s = time.monotonic() + 3 * lease_s + 1
            while time.monotonic() < until_s:
                for number in numbers:
                    # To renew a mapping of PCP, miniupnpd removes it and adds it again.
                    assert open_ports(homes, number) | open_ports(homes, number) == BOTH
                time.sleep(0.2)
            assert all(one.told_nothing_more() for one in processes)
        assert [homes.rules(number) for number in numbers] == [""] * len(ways)


def test_a_router_is_restarted_and_another_has_another_public_address(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",)), Home(("Ben",))) as homes:
        with children(homes, "Ana", "Ben") as (_, ben):
            wait_until(lambda: open_ports(homes, 1) == open_ports(homes, 2) == BOTH)
            time.sleep(OLD_S)
            homes.restart_daemon(1)
            homes.change_public(2)
            ben.wait_until_told(mapped(Way.PCP, homes, 2))
            wait_until(lambda: open_ports(homes, 1) == open_ports(homes, 2) == BOTH)


def test_what_stands_in_the_way(tmp_path: pathlib.Path) -> None:
    silent = frozenset[home_routers.Way]()
    here = (
        Home(("Landlord",), ALL_WAYS, Uplink.LANDLORD),
        Home(("Carrier",), ALL_WAYS, Uplink.CARRIER),
        Home(("Both",), silent, Uplink.CARRIER),
        Home(("Silent",), silent),
    )
    states = (
        unmapped(1, Nat.DOUBLE, Problem.NO_PUBLIC_ADDRESS, "10.0.1.2"),
        unmapped(2, Nat.CARRIER, Problem.NO_PUBLIC_ADDRESS, "100.64.2.2"),
        unmapped(3, Nat.CARRIER, Problem.NO_ANSWER),
        unmapped(4, Nat.HOME, Problem.NO_ANSWER),
    )
    with Homes(tmp_path, *here) as homes, children(homes, *(home.machines[0] for home in here)) as processes:
        for one, state in zip(processes, states, strict=True):
            one.wait_until_told(state)


def test_ipv6_pinholes(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana",), ipv6=True)) as homes:
        with children(homes, "Ana") as (one,):
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
        wait_until(lambda: homes.rules(1) == "")


@pytest.mark.parametrize("way", home_routers.Way)
def test_a_child_that_is_killed_is_started_again(tmp_path: pathlib.Path, way: home_routers.Way) -> None:
    """The new one has the ports of the old one at once."""
    with Homes(tmp_path, Home(("Ana",), frozenset({way}))) as homes:
        parent = Child(homes, "Ana", RESTARTS)
        before = parent.wait_for(has_ports)
        parent.say("kill")
        assert parent.wait_for(lambda state: state.problem != Problem.NONE).problem == Problem.FAILED
        assert parent.wait_for(has_ports) == before == mapped(Way[way.name], homes)
        parent.close()
        assert homes.rules(1) == ""


def test_a_port_of_another_machine_is_left_alone(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Ana", "Ben"))) as homes, children(homes, "Ben") as (first,):
        first.wait_for(has_ports)
        with children(homes, "Ana") as (second,):
            state = second.wait_for(has_ports)
            assert state.tcp not in (0, 17401) and state.udp not in (0, 17402)
        assert open_ports(homes) == BOTH
