"""Real processes in the networks of real homes: several addresses, link-local ones, firewalls, VPNs, new addresses."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.machines import PREFIX, Machines, unavailable
from tests.support.mp3 import song
from tests.support.programs import TIMEOUT_S, Event, Program, in_phase, in_time

pytestmark = pytest.mark.slow

PORTS = ("--session", "Kitchen", "--port", "18401", "--clock-port", "18402")
HOST_IP = "10.79.0.1"


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, "Hana", "Ana") as found:
        yield found


@pytest.fixture
def tune(tmp_path: pathlib.Path) -> pathlib.Path:
    return song(tmp_path, 120)


def hosting(machines: Machines, *arguments: str) -> Program:
    host = machines.start("Hana", "host", *arguments, *PORTS)
    host.wait_for("session")
    return host


def joined(machines: Machines, *arguments: str) -> Program:
    peer = machines.start("Ana", "join", *arguments)
    peer.wait_for("joined")
    return peer


def had(program: Program, name: str, **fields: object) -> list[Event]:
    """All events of that name with these values so far."""
    return [event for event in program.told if event["event"] == name and fields.items() <= event.items()]


def wait_for_had(program: Program, name: str, **fields: object) -> Event:
    """The first event of that name with these values, which may have come already."""
    until = time.monotonic() + TIMEOUT_S
    while not (found := had(program, name, **fields)):
        assert time.monotonic() < until, program.told[-8:]
        time.sleep(0.05)
    return found[0]


def link_local(machine: str) -> str:
    listed = subprocess.run(
        ["ip", "-n", f"{PREFIX}{machine}", "-6", "-o", "addr", "show", "dev", "lan0", "scope", "link"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()[3].partition("/")[0]


def test_the_clock_is_heard_at_every_address(machines: Machines) -> None:
    machines.ip("Hana", "addr add 10.79.0.11/24 dev lan0")
    for number in (1, 5):
        machines.ip("Hana", f"addr add fd00:79::{number}/64 dev lan0 nodad")
    machines.ip("Ana", "addr add fd00:79::2/64 dev lan0 nodad")
    hosting(machines, "--unlisted")
    for address in (HOST_IP, "10.79.0.11", "[fd00:79::1]", "[fd00:79::5]", f"[{link_local('Hana')}%lan0]"):
        peer = joined(machines, f"{address}:18401")
        peer.wait_for("sync", in_time)
        peer.close()


def test_an_address_that_is_not_preferred_any_more_is_answered_from(machines: Machines) -> None:
    """IPv6 privacy addresses change: connections stay at the old one, and new packets leave from the new one."""
    machines.ip("Hana", "addr add fd00:79::1/64 dev lan0 nodad")
    machines.ip("Ana", "addr add fd00:79::2/64 dev lan0 nodad")
    hosting(machines, "--unlisted")
    peer = joined(machines, "[fd00:79::1]:18401")
    peer.wait_for("sync", in_time)
    for machine, old, new in (("Hana", 1, 11), ("Ana", 2, 12)):
        machines.ip(machine, f"addr add fd00:79::{new}/64 dev lan0 nodad")
        machines.ip(machine, f"addr change fd00:79::{old}/64 dev lan0 preferred_lft 0 valid_lft 600")
        machines.ip(machine, "-6 route replace fd00:79::/64 dev lan0")  # the command before lets it expire
    since = peer.wait_for("sync", in_time)
    peer.wait_for("sync", lambda sync: in_time(sync) and sync["session_ns"] > since["session_ns"] + 6 * 10**9)
    assert not had(peer, "warning")


def test_a_cable_without_any_addresses(machines: Machines, tune: pathlib.Path) -> None:
    for machine in ("Hana", "Ana"):
        machines.ip(machine, "addr flush dev lan0 scope global")
        machines.cable(machine, plugged=True)
    hosting(machines, str(tune))
    peer = joined(machines, "--session", "Kitchen")
    peer.wait_for("sync", in_time)
    wait_for_had(peer, "file_ready")
    machines.cable("Ana", plugged=False)
    wait_for_had(peer, "warning", code="looking_for_host")
    machines.cable("Ana", plugged=True)
    wait_for_had(peer, "joined", again=True)


def test_an_address_that_is_dead_here_does_not_keep_anybody_out(machines: Machines) -> None:
    for number, machine in enumerate(("Hana", "Ana"), 1):
        machines.ip(machine, "link add lab0 type veth peer name lab1")
        machines.ip(machine, f"addr add 10.9.9.{number}/24 dev lab0")
        for end in ("lab0", "lab1"):
            machines.ip(machine, f"link set {end} up")
    hosting(machines)
    joined(machines, "--session", "Kitchen").wait_for("sync", in_time)


@pytest.mark.parametrize(("blocked_by", "code"), [("firewall", "clock_unreachable"), ("router", "clock_silent")])
def test_blocked_udp_is_told_at_both_ends(machines: Machines, tune: pathlib.Path, blocked_by: str, code: str) -> None:
    if blocked_by == "router":
        machines.behind_router("Ana", 18402)
    else:
        machines.ip("Ana", "rule add pref 10 ipproto udp dport 18402 prohibit")
    host = hosting(machines, str(tune))
    peer = joined(machines, f"{HOST_IP}:18401")
    assert "UDP port 18402" in wait_for_had(peer, "warning", code=code)["message"]
    wait_for_had(host, "warning", code="clock_silent_at_peer")
    wait_for_had(host, "transfer", state="done")
    host.say("play")
    wait_for_had(host, "playing")
    assert not had(peer, "playing")
    machines.ip("switch" if blocked_by == "router" else "Ana", "rule del pref 10")
    wait_for_had(peer, "playing")


def test_a_network_that_loses_large_packets(machines: Machines, tune: pathlib.Path) -> None:
    machines.small_packets_only("Ana")
    hosting(machines, str(tune))
    joined(machines, f"{HOST_IP}:18401").wait_for("file_ready")


def test_a_host_and_a_peer_that_change_their_addresses_are_found_again(machines: Machines, tune: pathlib.Path) -> None:
    host = hosting(machines, str(tune), "--wait-peers", "1", "--play")
    peer = joined(machines, "--session", "Kitchen")
    peer.wait_for("sync", in_phase)
    for machine, address in (("Hana", "10.79.0.31/24"), ("Ana", "10.79.0.42/24")):
        machines.move(machine, address)
        peer.wait_for("joined", lambda event: event["again"])
        since = peer.wait_for("sync", in_phase)["session_ns"]
        peer.wait_for("sync", lambda sync, since=since: in_phase(sync) and sync["session_ns"] > since + 3 * 10**9)
    assert not had(host, "error") and not had(peer, "error")


def test_an_overlay_network_is_not_preferred_to_the_room(machines: Machines) -> None:
    """Its addresses come first in the order of numbers, and chance decides which round trips are shorter."""
    overlay = "zt12345678"
    hana, ana = (f"{PREFIX}{name}" for name in ("Hana", "Ana"))
    machines.ip("Hana", f"link add {overlay} type veth peer name {overlay} netns {ana}")
    for number, name in enumerate(("Hana", "Ana"), 1):
        machines.ip(name, f"addr add 10.7.0.{number}/24 dev {overlay}")
        machines.ip(name, f"link set {overlay} up")
    host = hosting(machines)
    joined(machines, "--session", "Kitchen").wait_for("sync", in_time)
    connections = ["ip", "netns", "exec", hana, "ss", "-Htn", "sport", "=", ":18401"]
    used = subprocess.run(connections, check=True, capture_output=True, text=True).stdout
    assert f"{HOST_IP}:18401" in used.replace("[::ffff:", "").replace("]", "") and "10.7.0." not in used, used
    machines.cable("Ana", plugged=False)
    wait_for_had(host, "peer_joined", again=True)  # now by the overlay network
