"""No direct way leads from a friend to the host: real programs, and between them the bridge over iroh. No relay can be
run here, so the two ends of the bridge find each other by the addresses of the invitation."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from phaselock.app.bridge import is_installed
from phaselock.model.address import DEFAULT_OUTSIDE_PORT
from tests.support.machines import Machines, namespace, unavailable
from tests.support.mp3 import song
from tests.support.programs import Program, in_phase, in_time

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="the extra internet is not installed"),
]


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, "Hana", "Ana") as found:
        iproute = ("link add lan1 type veth peer name lan1 netns " + namespace("Ana")).split()
        subprocess.run(["ip", "-n", namespace("Hana"), *iproute], check=True)
        for number, machine in enumerate(("Hana", "Ana"), 1):
            found.ip(machine, f"addr add 10.81.0.{number}/24 dev lan1")
            found.ip(machine, "link set lan1 up")
        rules = (
            "add table inet wall",
            "add chain inet wall input { type filter hook input priority 0; policy drop; }",
            "add rule inet wall input iif lo accept",
            "add rule inet wall input icmp type != echo-request accept",
            f"add rule inet wall input udp dport {DEFAULT_OUTSIDE_PORT} accept",
        )
        for rule in rules:
            subprocess.run([*found.prefix("Hana"), "nft", *rule.split()], check=True)
        yield found


def test_a_friend_joins_over_the_bridge_and_stays_when_its_path_is_taken_away(
    machines: Machines, tmp_path: pathlib.Path
) -> None:
    host = machines.start("Hana", "host", str(song(tmp_path, 120)), "--unlisted", "--invite", "--relay", "direct")
    line = host.wait_for("invitation", lambda told: told["state"] == "open")["text"]
    alone = machines.call("Ana", "join", line, "--relay", "off")
    assert "it does not answer" in alone.stderr
    peer = joined(machines, line)
    peer.wait_for("file_ready")
    peer.wait_for("sync", in_time)
    host.say("play")
    peer.wait_for("sync", in_phase)
    for network in ("lan0", "lan1"):  # one of them is the path
        machines.ip("Ana", f"link set {network} down")
        for _ in range(7):  # one a second
            peer.wait_for("sync", in_phase)
        host.say("pause")
        peer.wait_for("paused")
        host.say("resume")
        peer.wait_for("resumed")
        machines.ip("Ana", f"link set {network} up")
        machines.ip("Ana", "route replace 224.0.0.0/4 dev lan0")
    host.say("quit")
    peer.wait_for("session_end")


def joined(machines: Machines, line: str) -> Program:
    peer = machines.start("Ana", "join", line, "--relay", "direct")
    peer.wait_for("joined")
    return peer
