"""Friends elsewhere whose host dies, or hands over: real processes in homes behind their own routers."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from phaselock.model.address import own_outside_port
from phaselock.model.invitation import parse_invitation
from phaselock.network.secure import HostIdentity
from phaselock.session.states import CLOCK_SILENT_NS
from tests.support.home_routers import Home, Homes, Way, unavailable
from tests.support.mp3 import song
from tests.support.programs import Event, Program, in_phase

pytestmark = pytest.mark.slow

SECOND_NS = 10**9
FRIENDS = Home(("Tv", "Ana"), network="192.168.1")
HERITAGE_S = 2.0
"""After this time the successors know what has changed."""


@pytest.fixture
def homes(tmp_path: pathlib.Path) -> Iterator[Homes]:
    """The home of Hana and others, and that of Ana, in which a television has the address that Hana has at home."""
    if reason := unavailable():
        pytest.skip(reason)
    with Homes(tmp_path, Home(("Hana", "Ben", "Cleo", "Dora")), FRIENDS) as found:
        yield found


def jam(homes: Homes, folder: pathlib.Path, *peers: str) -> tuple[Program, list[Program], Program, str]:
    """The host Hana, peers of its home that can become the host, the friend Ana, and the line by which it came. They
    play in phase."""
    host = homes.start("Hana", "host", str(song(folder, 150)), "--invite", "--wait-peers", str(len(peers)), "--play")
    line = host.wait_for("invitation", is_open)["text"]
    at_home = [homes.start(name, "join", homes.address("Hana")) for name in peers]
    friend = homes.start("Ana", "join", line)
    friend.wait_for("successors", lambda event: set(event["names"]) == set(peers))
    for program in (*at_home, friend):
        program.wait_for("sync", in_phase)
    return host, at_home, friend, line


def is_open(event: Event) -> bool:
    return event["state"] == "open"


def goes_on(friend: Program, host: Program, name: str) -> None:
    """The friend Ana has found its new host, and plays in phase by the new host's clock."""
    assert friend.wait_for("host_changed", lambda event: event["name"] == name)
    joined = friend.wait_for("joined")
    assert joined["again"]
    later_ns = joined["session_ns"] + CLOCK_SILENT_NS + SECOND_NS
    friend.wait_for("sync", lambda event: in_phase(event) and event["session_ns"] > later_ns)
    seen = host.wait_for("peer_sync", lambda event: event["name"] == "Ana" and event["session_ns"] > later_ns)
    assert seen["clock"] == "good" and seen["far"]
    assert not [event for event in friend.told if event["event"] == "error"]


def next_host(peers: list[Program]) -> tuple[Program, str]:
    """The peer that has become the host, as all of them say, and its name. The line changes with the quality of the
    clocks, so that a test does not know it before."""
    told = [peer.wait_for("host_changed") for peer in peers]
    (name,) = {event["name"] for event in told}
    (heir,) = (peer for peer, event in zip(peers, told, strict=True) if event["you"])
    return heir, name


def own_port(home: pathlib.Path) -> int:
    """The public port that the machine with this home wants if the usual one is taken."""
    (key,) = home.rglob("host_key.pem")
    return own_outside_port(HostIdentity.load(key).host_key)


def place_of(line: str, address: str) -> tuple[str, int]:
    """The place at this public address that a line tells."""
    (place,) = (place for place in parse_invitation(line).places if place[0] == address)
    return place


def test_a_friend_goes_on_with_the_new_host_when_the_old_one_is_killed(homes: Homes, tmp_path: pathlib.Path) -> None:
    host, (ben,), friend, line = jam(homes, tmp_path, "Ben")
    host.process.kill()
    assert ben.wait_for("host_changed")["you"]
    new = ben.wait_for("invitation", lambda event: is_open(event) and homes.public(1) in event["text"])
    assert new["reachable"] and parse_invitation(new["text"]).code == parse_invitation(line).code
    goes_on(friend, ben, "Ben")
    assert place_of(new["text"], homes.public(1)) == place_of(line, homes.public(1))
    late = homes.start("Tv", "join", line)
    assert late.wait_for("joined")["host_name"] == "Ben"


def test_a_friend_goes_on_when_the_host_hands_over_and_stays(homes: Homes, tmp_path: pathlib.Path) -> None:
    host, (ben,), friend, line = jam(homes, tmp_path, "Ben")
    host.say("hand-over")
    new = ben.wait_for("invitation", lambda event: is_open(event) and homes.public(1) in event["text"])
    assert place_of(new["text"], homes.public(1)) == place_of(line, homes.public(1)), "the old host gives the port back"
    goes_on(friend, ben, "Ben")
    ben.say("withdraw")
    time.sleep(HERITAGE_S)
    ben.say("hand-over")
    assert host.wait_for("invitation", lambda event: event["state"] != "open")["state"] == "withdrawn"
    goes_on(friend, host, "Hana")
    late = homes.start("Tv", "join", line)
    assert "withdrawn" in late.end()[1]


def test_a_friend_goes_on_when_the_network_of_the_host_is_gone(homes: Homes, tmp_path: pathlib.Path) -> None:
    """The router keeps the ports of the old host: the next one has others, which the friend knows."""
    _, peers, friend, line = jam(homes, tmp_path, "Ben", "Cleo")
    homes.ip("Hana", "link set lan0 down")
    heir, name = next_host(peers)
    new = heir.wait_for("invitation", lambda event: is_open(event) and homes.public(1) in event["text"])
    assert place_of(new["text"], homes.public(1)) != place_of(line, homes.public(1))
    goes_on(friend, heir, name)
    late = homes.start("Tv", "join", new["text"])
    assert late.wait_for("joined")["host_name"] == name


def test_a_friend_goes_on_by_upnp_alone(tmp_path: pathlib.Path) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    with Homes(tmp_path, Home(("Hana", "Ben"), ways=frozenset({Way.UPNP})), FRIENDS) as homes:
        host, (ben,), friend, _ = jam(homes, tmp_path, "Ben")
        host.say("hand-over")
        goes_on(friend, ben, "Ben")


def test_a_friend_goes_on_when_the_next_host_has_ports_that_it_does_not_know(
    homes: Homes, tmp_path: pathlib.Path
) -> None:
    """The router keeps the ports of the old host, and another machine has those that the next hosts want instead."""
    if not shutil.which("natpmpc"):
        pytest.skip("it needs natpmpc")
    _, peers, friend, _ = jam(homes, tmp_path, "Ben", "Cleo")
    ports = [own_port(tmp_path / name) for name in ("Ben", "Cleo")]
    for inner, port in enumerate(ports, 5555):
        taking = [*homes.prefix("Dora"), "natpmpc", "-a", str(port), str(inner), "udp", "600"]
        assert f"Mapped public port {port}" in subprocess.run(taking, capture_output=True, text=True, timeout=60).stdout
    homes.wait_for_rules(2)  # so that the host may call Ana
    homes.ip("Hana", "link set lan0 down")
    heir, name = next_host(peers)
    new = heir.wait_for("invitation", lambda event: is_open(event) and homes.public(1) in event["text"])
    (told,) = (one for one in parse_invitation(new["text"]).candidates if one.host == homes.public(1))
    assert told.port != 17401 and told.clock_port not in (17402, *ports)
    goes_on(friend, heir, name)
