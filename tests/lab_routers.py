"""Measures the lab's scenario `wan` without and with the two homes' routers, in turns: `python -m tests.lab_routers`.

One machine hosts in each run, and a friend joins: both on one switch, or each behind a home's router of its own, by the
line of an invitation. The link is the lab's in both cases: its relay runs on the friend's machine and passes everything
on to the host. The figures are those of `phaselock bench sync --scenario wan`. Needs what
tests/support/home_routers.py needs, above all root. What the programs told goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from phaselock.bench.analysis.delay import Loudspeaker, read_recording
from phaselock.bench.benchmarks.sync import (
    AFTER_MOVE_S,
    PAUSE_S,
    SPARE_S,
    TRANSFER_TIMEOUT_S,
    SessionRecording,
    machines_of,
    metrics_of,
)
from phaselock.bench.lab.links import PROFILES
from phaselock.bench.lab.relay import RelayConfig, peer_ip
from phaselock.bench.lab.session import Machine
from phaselock.bench.lab.songs import MUSIC, noise_song
from phaselock.model.address import DEFAULT_CLOCK_PORT, DEFAULT_PORT
from phaselock.model.invitation import Candidate, invitation_line, parse_invitation
from tests.support.home_routers import Home, Homes, unavailable
from tests.support.machines import Machines, Namespaces
from tests.support.programs import Program

HOST, FRIEND = "Hana", "Ana"
FIGURES = ("start_us", "playing_p50_us", "playing_p95_us", "dropouts")
SCENARIO = "wan"
RELAYED_HOST = "127.0.0.1"
"""Where the relay reaches the host."""
# The relay is made for programs of one computer: what it sends to RELAYED_HOST goes to the host's machine.
_REDIRECT = """
table ip lab {{
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr {relayed} tcp dport {port} dnat to {host}
    ip daddr {relayed} udp dport {clock_port} dnat to {host}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    ip saddr 127.0.0.0/8 oifname lan0 masquerade
  }}
}}
"""

Start = Callable[..., Program]
"""Starts a program on a machine with these arguments."""


@contextlib.contextmanager
def relay(network: Namespaces, host: str, seed: int) -> Iterator[None]:
    """The lab's link on the friend's machine, to the host at this address."""
    link, prefix = PROFILES[SCENARIO], network.prefix(FRIEND)
    rules = _REDIRECT.format(relayed=RELAYED_HOST, port=DEFAULT_PORT, clock_port=DEFAULT_CLOCK_PORT, host=host)
    subprocess.run([*prefix, "nft", "-f", "-"], input=rules, text=True, check=True)
    for interface in ("all", "lan0"):
        subprocess.run([*prefix, "sysctl", "-qw", f"net.ipv4.conf.{interface}.route_localnet=1"], check=True)
    config = RelayConfig(RELAYED_HOST, DEFAULT_PORT, DEFAULT_CLOCK_PORT, link, (link,), seed)
    command = [*prefix, sys.executable, "-m", "phaselock.bench.lab.relay_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdin.write(config.to_json() + "\n")
        process.stdin.flush()
        assert "ready" in json.loads(process.stdout.readline())
        yield  # the end of its input ends it


@contextlib.contextmanager
def joined(network: Machines | Homes, start: Start, song: pathlib.Path, seed: int) -> Iterator[Program]:
    """A host that plays as soon as the friend has the song."""
    arguments = ["host", os.fspath(song), "--unlisted", "--wait-peers", "1", "--play"]
    if isinstance(network, Homes):
        host = start(HOST, *arguments, "--invite")
        invitation = parse_invitation(host.wait_for("invitation", lambda event: event["state"] == "open")["text"])
        address = network.public(1)
        assert (address, DEFAULT_PORT) in invitation.places, "the router has given other ports"
        relayed = dataclasses.replace(invitation, candidates=(Candidate(peer_ip(0), DEFAULT_PORT),))
        place = invitation_line(relayed)
    else:
        host = start(HOST, *arguments)
        host.wait_for("session")
        address, place = network.address(HOST), f"{peer_ip(0)}:{DEFAULT_PORT}"
    with relay(network, address, seed):
        start(FRIEND, "join", place)
        yield host


def measured(network: Machines | Homes, folder: pathlib.Path, seed: int, seconds: float) -> dict[str, float]:
    """The metrics of one run."""
    host_machine, friend_machine = machines_of(SCENARIO, 1)
    machines = {HOST: host_machine, FRIEND: friend_machine}
    song = folder / "noise.mp3"
    noise_song(song, MUSIC["mp3"], seconds + SPARE_S, seed)
    with network, contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str) -> Program:
            options = _recorded(machines[name], folder / "recordings" / name).options()
            program = Program(
                *arguments, "--as", name, *options, prefix=network.prefix(name), home=folder / "homes" / name
            )
            stack.callback(program.close)
            return program

        began_s = time.perf_counter()
        with joined(network, start, song, seed) as host:
            until_s = time.monotonic() + TRANSFER_TIMEOUT_S
            while not any(event["event"] == "playing" for event in host.told):
                assert time.monotonic() < until_s, "the song did not arrive in time"
                time.sleep(0.1)
            until_playing_s = time.perf_counter() - began_s
            time.sleep(seconds)
            for command, after_s in (
                ("pause", PAUSE_S),
                ("resume", AFTER_MOVE_S),
                (f"seek {seconds / 2}", AFTER_MOVE_S),
            ):
                host.say(command)
                time.sleep(after_s)
            host.say("quit")
            host.end()
    loudspeakers = [
        Loudspeaker([read_recording(path) for path in sorted((folder / "recordings" / name).glob("*.json"))])
        for name in machines
    ]
    unknown = {"p50": math.nan, "p99": math.nan}
    return metrics_of(SessionRecording(loudspeakers, [], unknown, until_playing_s, {}))[0]


def _recorded(machine: Machine, folder: pathlib.Path) -> Machine:
    assert machine.card
    return dataclasses.replace(machine, card=dataclasses.replace(machine.card, record=os.fspath(folder)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="1,2,3", help="repeat with these seeds (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long a session plays (default %(default)g)")
    options = parser.parse_args(arguments)
    if reason := unavailable():
        sys.exit(reason)
    print("seed", "way", *FIGURES, sep="\t")
    for seed in map(int, options.seeds.split(",")):
        for way in ("switch", "routers"):
            with tempfile.TemporaryDirectory(prefix="phaselock-lab-") as name:
                folder = pathlib.Path(name)
                network = Homes(folder, Home((HOST,)), Home((FRIEND,))) if way == "routers" else None
                found = measured(network or Machines(folder, HOST, FRIEND), folder, seed, options.seconds)
            print(seed, way, *(f"{found[figure]:.1f}" for figure in FIGURES), sep="\t", flush=True)


if __name__ == "__main__":
    main()
