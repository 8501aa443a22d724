"""What the doctor says of the way from the internet, for all answers of a router, and behind simulated routers."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.internet.state import Nat, Pinhole, Problem, RouterState, Way
from phaselock.network.interfaces import OverlayAddress
from phaselock.tools import outside
from phaselock.tools.outside import ask_router, check_outside
from tests.support.findings import levels

OPEN = RouterState(Way.PCP, Nat.OPEN, "192.168.1.1", "45.32.1.1", 40001, 40002)
SILENT = RouterState(Way.NONE, Nat.HOME, "192.168.1.1", problem=Problem.NO_ANSWER)
TAILSCALE = OverlayAddress("Tailscale", "100.101.102.103")
PINHOLE = Pinhole("2a02:c207:1::2", 40001, 40002)


@pytest.mark.parametrize(
    ("state", "expected", "router", "friend"),
    [
        (OPEN, ["ok", "ok"], "opens ports by PCP. Its address outside is 45.32.1.1.", "at 45.32.1.1."),
        (dataclasses.replace(OPEN, way=Way.UPNP), ["ok", "ok"], "by UPnP", "at 45.32.1.1."),
        (dataclasses.replace(OPEN, pinholes=(PINHOLE,)), ["ok", "ok"], "by PCP", "at 45.32.1.1 or 2a02:c207:1::2."),
        (SILENT, ["hint", "hint"], "neither PCP nor NAT-PMP nor UPnP", "would not reach this machine"),
        (
            dataclasses.replace(SILENT, problem=Problem.NO_UPNP_LIBRARY),
            ["hint", "hint"],
            "miniupnpc, which asks it by UPnP, is not installed",
            "would not",
        ),
        (dataclasses.replace(SILENT, problem=Problem.REFUSED), ["hint", "hint"], "refuses", "would not"),
        (dataclasses.replace(SILENT, problem=Problem.NO_PORTS), ["hint", "hint"], "no free port", "would not"),
        (
            RouterState(Way.NONE, Nat.DOUBLE, "192.168.1.1", "10.0.0.2", problem=Problem.NO_PUBLIC_ADDRESS),
            ["hint", "hint", "hint"],
            "it has no public address",
            "would not",
        ),
        (dataclasses.replace(OPEN, nat=Nat.DOUBLE, public="10.0.0.2"), ["ok", "hint", "hint"], "10.0.0.2", "would not"),
        (
            dataclasses.replace(OPEN, nat=Nat.CARRIER, public="100.64.1.2", pinholes=(PINHOLE,)),
            ["ok", "hint", "ok"],
            "100.64.1.2",
            "at 2a02:c207:1::2.",
        ),
        (
            RouterState(Way.NONE, Nat.PUBLIC, "45.32.1.1", "45.32.1.2", 40001, 40002),
            ["ok", "ok"],
            "a public address of its own: 45.32.1.2",
            "at 45.32.1.2.",
        ),
        (RouterState(problem=Problem.NO_ROUTER), ["hint", "hint"], "No router leads", "would not"),
        (RouterState(problem=Problem.FAILED), ["hint", "hint"], "could not be asked", "would not"),
        (RouterState(), ["hint", "hint"], "could not be asked", "would not"),
    ],
)
def test_what_a_router_answers(state: RouterState, expected: list[str], router: str, friend: str) -> None:
    found = check_outside(state, (), 17404, 17402)
    ids = ["router", "nat", "friend"] if len(expected) == 3 else ["router", "friend"]
    assert levels(found) == list(zip(ids, expected, strict=True))
    assert router in found[0].message and friend in found[-1].message
    assert bool(found[-1].fix) == (expected[-1] == "hint" or state.nat == Nat.PUBLIC)


def test_the_friends_in_an_overlay_network_are_told_by_its_name() -> None:
    only = check_outside(SILENT, (TAILSCALE,), 17404, 17402)[-1]
    assert only.message == "A friend elsewhere would reach this machine only at 100.101.102.103 (Tailscale)."
    assert only.level == "hint" and "17404" in only.fix and "17402" in only.fix
    both = check_outside(OPEN, (TAILSCALE,), 17404, 17402)[-1]
    assert both.message == "A friend elsewhere would reach this machine at 45.32.1.1 or 100.101.102.103 (Tailscale)."


def test_the_extra_is_needed_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for spec, where in ((None, "on both machines"), (object(), "let your friend install")):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, spec=spec: spec)
        assert where in check_outside(SILENT, (), 17404, 17402)[-1].fix


class Mapping:
    """In place of the child process: tells these states at once."""

    def __init__(self, *states: RouterState) -> None:
        self._states = states
        self.wanted: dict[str, Any] = {}
        self.steps: list[str] = []

    def __call__(self, on_state: Callable[[RouterState], object]) -> Any:
        self._on_state = on_state
        return self

    def map(self, **wanted: Any) -> None:
        self.wanted = wanted
        for state in self._states:
            self._on_state(state)

    def close(self) -> None:
        self.steps.append("close")

    def wait(self, timeout_s: float) -> None:
        self.steps.append("wait")


def test_the_ports_are_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SETTLE_S", 0.01)
    mapping = Mapping(RouterState(), OPEN, dataclasses.replace(OPEN, pinholes=(PINHOLE,)))
    assert ask_router(5.0, mapping).pinholes == (PINHOLE,)
    assert mapping.steps == ["close", "wait"]
    assert mapping.wanted["tcp"][0] == mapping.wanted["tcp"][1] >= 1024
    assert mapping.wanted["udp"][0] == mapping.wanted["udp"][1] >= 1024


def test_a_router_that_is_not_done_in_time() -> None:
    assert ask_router(0.01, Mapping(RouterState(Way.NONE, Nat.UNKNOWN, "192.168.1.1"))).router == "192.168.1.1"
    assert ask_router(0.01, Mapping()) == RouterState()


# -- behind simulated routers ------------------------------------------------------------------------------------------


@pytest.fixture
def homes(tmp_path: pathlib.Path) -> Iterator[Any]:
    home_routers = pytest.importorskip("tests.support.home_routers")
    if missing := home_routers.unavailable():
        pytest.skip(missing)
    home, uplink, way = home_routers.Home, home_routers.Uplink, home_routers.Way
    with home_routers.Homes(
        tmp_path,
        home(("open",)),
        home(("upnp",), ways={way.UPNP}),
        home(("none",), ways=frozenset()),
        home(("double",), uplink=uplink.LANDLORD),
        home(("carrier",), uplink=uplink.CARRIER),
    ) as made:
        yield made


@pytest.mark.slow
def test_the_doctor_behind_real_routers(homes: Any) -> None:
    for words in ("tuntap add dev friends mode tun", "addr add 100.101.102.103/32 dev friends", "link set friends up"):
        homes.ip("none", words)

    def doctor_says(name: str) -> dict[str, dict[str, Any]]:
        done = homes.call(name, "doctor", "--backend", "null", "--json")
        return {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}

    names = ("open", "upnp", "none", "double", "carrier")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        told = dict(zip(names, pool.map(doctor_says, names), strict=True))
    assert told["open"]["router"]["message"] == (
        "The router 192.168.1.1 opens ports by PCP. Its address outside is 45.32.1.1."
    )
    assert told["open"]["friend"]["message"] == "A friend elsewhere would reach this machine at 45.32.1.1."
    assert told["upnp"]["router"]["figures"] == {
        "way": "upnp",
        "nat": "open",
        "router": "192.168.2.1",
        "public": "45.32.2.1",
    }
    assert "neither PCP nor NAT-PMP nor UPnP" in told["none"]["router"]["message"]
    assert (
        told["none"]["friend"]["message"]
        == "A friend elsewhere would reach this machine only at 100.101.102.103 (Tailscale)."
    )
    assert told["double"]["router"]["figures"]["nat"] == "double" and told["double"]["nat"]["level"] == "hint"
    assert told["double"]["friend"]["message"] == "A friend elsewhere would not reach this machine."
    assert told["carrier"]["router"]["figures"]["nat"] == "carrier"
    for number, name in enumerate(names, 1):
        if name != "none":
            assert homes.rules(number) == "", f"the ports of {name} are open"
