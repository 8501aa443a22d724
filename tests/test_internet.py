"""Friends elsewhere: real processes in homes behind their own routers, which meet by the line of an invitation."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from phaselock.bench.lab.attack import Target
from phaselock.internet.leases import LEASE_S
from phaselock.model.invitation import Invitation, parse_invitation
from phaselock.session.host.door import FREE_GUESSES, LATER
from phaselock.session.invitation_sentences import WRONG_INVITATION
from tests.support.home_routers import INTERNET, STRANGERS, Home, Homes, Uplink, unavailable
from tests.support.mp3 import song
from tests.support.programs import TIMEOUT_S, Event, Program, in_phase

pytestmark = pytest.mark.slow

ATTACK_NS = 2 * 10**9
ATTACK = "tests.support.outside_attack"
GONE_S = LEASE_S / 2
"""In this time the end of a host has removed its ports, however busy this machine is. The router itself forgets them
later."""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    if reason := unavailable():
        pytest.skip(reason)
    return tmp_path


@pytest.fixture
def homes(folder: pathlib.Path) -> Iterator[Homes]:
    """Hana's home and that of Ana, in which a television has the address that Hana has at home."""
    with Homes(folder, Home(("Hana",)), Home(("Tv", "Ana"), network="192.168.1")) as found:
        yield found


def inviting(homes: Homes, *arguments: str, name: str = "Hana") -> tuple[Program, str]:
    """A host that invites, and its line."""
    host = homes.start(name, "host", *arguments, "--invite")
    return host, host.wait_for("invitation", is_open)["text"]


def is_open(event: Event) -> bool:
    return event["state"] == "open"


def public(line: str, address: str) -> tuple[str, int]:
    """The place at this public address that a line tells."""
    (place,) = (place for place in parse_invitation(line).places if place[0] == address)
    return place


def eventually(true: Callable[[], bool], limit_s: float) -> bool:
    until_s = time.monotonic() + limit_s
    while not true() and time.monotonic() < until_s:
        time.sleep(0.05)
    return true()


def test_friends_meet_by_the_line_alone_and_nothing_stays(folder: pathlib.Path) -> None:
    carrier = Home(("Cy",), uplink=Uplink.CARRIER)
    with Homes(folder, Home(("Hana",)), Home(("Tv", "Ana"), network="192.168.1"), carrier) as homes:
        homes.start("Tv", "host", "--port", "17404", "--unlisted").wait_for("session")
        host, line = inviting(homes, str(song(folder, 60)), "--wait-peers", "2", "--play")
        friends = [homes.start(name, "join", line) for name in ("Ana", "Cy")]
        for friend in friends:
            assert friend.wait_for("joined")["host_name"] == "Hana"
            friend.wait_for("file_ready")
        for friend in friends:
            friend.wait_for("sync", in_phase)
        homes.wait_for_rules(2)  # so that the host may call Ana
        host.say("quit")
        assert host.end() == (0, "")
        assert [friend.end()[0] for friend in friends] == [0, 0]
        assert eventually(lambda: not homes.rules(1) + homes.rules(2), GONE_S)


def test_a_killed_host_leaves_no_port_open(homes: Homes) -> None:
    host, _ = inviting(homes)
    assert homes.rules(1)
    os.kill(host.process.pid, signal.SIGKILL)
    host.end()
    assert eventually(lambda: not homes.rules(1), GONE_S)


def test_a_friend_comes_back_by_itself(homes: Homes, folder: pathlib.Path) -> None:
    """After the router of the host was restarted, and after it has got another address."""
    host, line = inviting(homes, str(song(folder, 120)), "--wait-peers", "1", "--play")
    friend = homes.start("Ana", "join", line)
    friend.wait_for("sync", in_phase)
    for change in (homes.restart_router, homes.change_public):
        change(1)
        assert friend.wait_for("joined")["again"]
        friend.wait_for("sync", in_phase)
    assert not [event for program in (host, friend) for event in program.told if event["event"] == "error"]
    new = host.wait_for("invitation", lambda event: homes.public(1) in event["text"])["text"]
    assert public(new, homes.public(1)) and parse_invitation(new).code == parse_invitation(line).code


def test_the_open_ports_answer_only_those_who_know_the_code(homes: Homes, folder: pathlib.Path) -> None:
    """Also while the internet attacks them, as in `phaselock bench abuse`: the jam goes on, and a friend gets in."""
    host, line = inviting(homes, str(song(folder, 120)), "--wait-peers", "1", "--play")
    friend = homes.start("Ana", "join", line)
    friend.wait_for("sync", in_phase)
    found = attacked(homes, parse_invitation(line), homes.public(1))
    assert found["open"] == [17401]
    assert found["silent"] == {"tcp": "", "udp": 0, "plain": ""}
    assert found["greeting"] == ["", "", []]
    assert found["refused"] == ["CodeNeeded", "FileRefused", "FileRefused", "", ""]
    assert found["guesses"] == [WRONG_INVITATION] * FREE_GUESSES + [LATER]
    for kind in ("pings", "joins", "silent"):
        with attacking(homes, kind):
            since = newest_sync(friend)["session_ns"]
            if kind == "silent":
                homes.start("Tv", "join", line).wait_for("joined")
            friend.wait_for("sync", lambda sync, since=since: in_phase(sync) and sync["session_ns"] > since + ATTACK_NS)
    host.say("pause")
    friend.wait_for("paused")
    for program in (host, friend):
        assert not [event for event in program.told if event["event"] in ("error", "peer_left", "warning")]


def newest_sync(program: Program) -> Event:
    return next(event for event in reversed(program.told) if event["event"] == "sync")


def attacked(homes: Homes, invitation: Invitation, address: str) -> dict[str, object]:
    """What a machine of the internet finds at the public address of the host: see outside_attack.py."""
    command = [*homes.prefix(INTERNET), sys.executable, "-m", ATTACK, address, invitation.session.hex()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def attacking(homes: Homes, kind: str) -> Iterator[None]:
    """While the block runs, a machine of the internet attacks the public ports of the first home."""
    target = Target(homes.public(1), 17401, 17402, STRANGERS[0], 1, STRANGERS)
    command = [*homes.prefix(INTERNET), sys.executable, "-m", "phaselock.bench.lab.attack_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout

        def say(line: str) -> None:
            process.stdin.write(line + "\n")
            process.stdin.flush()

        say(json.dumps({"kind": kind, "target": dataclasses.asdict(target)}))
        assert process.stdout.readline()
        say("begin")
        try:
            yield
            say("end")
            assert sum(json.loads(process.stdout.readline()).values()) > 10
        finally:
            process.kill()


def test_a_host_that_cannot_be_reached_says_why(folder: pathlib.Path) -> None:
    verdicts = {
        "Bea": (Home(("Bea",), uplink=Uplink.LANDLORD), "double"),
        "Cy": (Home(("Cy",), uplink=Uplink.CARRIER), "carrier"),
        "Dan": (Home(("Dan",), ways=frozenset()), "home"),
    }
    with Homes(folder, *(home for home, _ in verdicts.values())) as homes:
        hosts = [(homes.start(name, "host", "--invite"), nat) for name, (_, nat) in verdicts.items()]
        for host, nat in hosts:
            told = host.wait_for("invitation", lambda event, nat=nat: event["nat"] == nat)
            assert not told["reachable"] and told["sentence"].count(".") >= 2
