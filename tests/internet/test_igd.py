"""UPnP, with a library that answers as the test wants, and a router that is found by real packets."""

from __future__ import annotations

import socket
import sys
import threading
import types

import pytest

from phaselock.internet import igd
from phaselock.internet.igd import UpnpRouter, location
from phaselock.internet.leases import LEASE_S
from phaselock.internet.pcp import Transport
from phaselock.internet.state import Problem
from phaselock.internet.upnp_job import UpnpAct, UpnpAnswer, UpnpJob

ROUTER, PUBLIC = "192.168.1.1", "45.32.1.1"
WANTED = {Transport.TCP: (17404, 17401), Transport.UDP: (17402, 17402)}
DESCRIPTIONS = igd._descriptions
OPEN = UpnpAnswer(Problem.NONE, PUBLIC, {Transport.TCP: 17401, Transport.UDP: 17402})


class Device:
    """A router, as the library shows it. Its fields are those of all instances."""

    lanaddr = "192.168.1.2"
    mappings: dict[tuple[int, str], tuple[str, int]]
    leases: list[int]
    errors: dict[int, str]
    """By public port."""
    error = ""
    """For all ports."""
    only_permanent = False
    refuses_changes = False
    public = PUBLIC
    selected: list[str]

    def selectigd(self, url: str) -> str:
        Device.selected.append(url)
        if Device.error == "Miniupnpc Socket error":
            raise Exception("No UPnP device discovered")
        return url.replace("rootDesc.xml", "ctl/IPConn")

    def externalipaddress(self) -> str:
        return Device.public

    def addportmapping(self, outer: int, transport: str, host: str, inner: int, what: str, remote: str, s: int) -> bool:
        if Device.only_permanent and s:
            raise Exception("OnlyPermanentLeasesSupported")
        if Device.refuses_changes and (outer, transport) in Device.mappings:
            raise Exception("ConflictInMappingEntry")
        if error := Device.error or Device.errors.get(outer, ""):
            raise Exception(error)
        Device.mappings[outer, transport] = host, inner
        Device.leases.append(s)
        return True

    def getspecificportmapping(self, outer: int, transport: str) -> tuple[str, int, str, bool, int] | None:
        if Device.error:
            raise Exception(Device.error)
        found = Device.mappings.get((outer, transport))
        return None if found is None else (*found, "PhaseLock", True, 60)

    def deleteportmapping(self, outer: int, transport: str) -> bool:
        if self.mappings.pop((outer, transport), None) is None:
            raise Exception("NoSuchEntryInArray")
        return True


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniupnpc", types.SimpleNamespace(UPnP=Device))
    monkeypatch.setattr(igd, "_descriptions", lambda router: iter([f"http://{router}:5000/rootDesc.xml"]))
    for name, value in {"mappings": {}, "leases": [], "errors": {}, "selected": []}.items():
        monkeypatch.setattr(Device, name, value, raising=False)
    for name in ("error", "only_permanent", "refuses_changes", "public"):
        monkeypatch.setattr(Device, name, getattr(Device, name))


def job(act: UpnpAct = UpnpAct.OPEN) -> UpnpJob:
    return UpnpJob(act, ROUTER, WANTED)


def test_ports_are_opened_and_removed() -> None:
    router = UpnpRouter()
    assert router.do(job()) == OPEN
    assert Device.mappings == {(17401, "TCP"): ("192.168.1.2", 17404), (17402, "UDP"): ("192.168.1.2", 17402)}
    assert Device.leases == [LEASE_S] * 2
    assert router.do(job(UpnpAct.REMOVE)) == UpnpAnswer()
    assert Device.mappings == {} and len(Device.selected) == 1


def test_a_port_that_another_machine_has_by_now_stays_its_own() -> None:
    router = UpnpRouter()
    router.do(job())
    Device.mappings[17401, "TCP"] = "192.168.1.77", 80
    router.do(job(UpnpAct.REMOVE))
    assert Device.mappings == {(17401, "TCP"): ("192.168.1.77", 80)}


def test_a_look_opens_only_what_has_vanished() -> None:
    router = UpnpRouter()
    router.do(job())
    assert router.do(job(UpnpAct.LOOK)) == OPEN and len(Device.leases) == 2
    del Device.mappings[17402, "UDP"]
    assert router.do(job(UpnpAct.LOOK)) == OPEN and len(Device.leases) == 3
    Device.mappings[17401, "TCP"] = "192.168.1.77", 80
    router.do(job(UpnpAct.LOOK))
    assert len(Device.leases) == 4


def test_a_port_in_use_gives_another_one_which_is_kept() -> None:
    router, conflict = UpnpRouter(), "ConflictInMappingEntry"
    Device.errors = {17401: conflict}
    answer = router.do(job())
    assert answer.problem == Problem.NONE and answer.ports[Transport.TCP] in igd._RANDOM_PORTS
    Device.errors = {}
    assert router.do(job()).ports == answer.ports


def test_a_router_with_permanent_leases_only() -> None:
    Device.only_permanent = True
    assert UpnpRouter().do(job()) == OPEN
    assert Device.leases == [0, 0]


def test_a_router_that_does_not_renew_loses_the_mapping_first() -> None:
    router = UpnpRouter()
    Device.refuses_changes = True
    assert router.do(job()) == router.do(job()) == OPEN
    assert len(Device.leases) == 4 and len(Device.mappings) == 2


def test_a_router_that_wants_the_same_port_on_both_sides() -> None:
    Device.errors = {17401: "SamePortValuesRequired"}
    assert UpnpRouter().do(job()).ports == {Transport.TCP: 17404, Transport.UDP: 17402}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("Action not authorized", Problem.REFUSED),
        ("ConflictInMappingEntry", Problem.NO_PORTS),
        ("Action Failed", Problem.FAILED),
        ("", Problem.NONE),
    ],
)
def test_errors(error: str, problem: Problem) -> None:
    Device.error = error
    assert UpnpRouter().do(job()).problem == problem


def test_a_router_that_fails_and_tells_no_address_has_none() -> None:
    Device.error, Device.public = "Action Failed", ""
    assert UpnpRouter().do(job()).problem == Problem.NO_PUBLIC_ADDRESS


def test_an_address_that_is_none_is_not_told() -> None:
    Device.public = "45.32.1.1/482913,evil.example"
    assert UpnpRouter().do(job()).public == ""


def test_a_router_that_was_restarted_is_found_again() -> None:
    router = UpnpRouter()
    router.do(job())
    Device.error = "Miniupnpc Socket error"
    assert router.do(job(UpnpAct.LOOK)).problem == Problem.NO_ANSWER
    Device.error = ""
    Device.mappings.clear()
    assert router.do(job()) == OPEN


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniupnpc", None)
    assert UpnpRouter().do(job()).problem == Problem.NO_UPNP_LIBRARY


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        (b"HTTP/1.1 200 OK\r\nLocation: http://192.168.1.1:5000/x.xml\r\n\r\n", "http://192.168.1.1:5000/x.xml"),
        (b"LOCATION:http://192.168.1.1/x\r\n", "http://192.168.1.1/x"),
        (b"Location: http://192.168.1.7:5000/x.xml\r\n", ""),  # another computer
        (b"Location: http://192.168.1.1@evil.example/x.xml\r\n", ""),
        (b"Location: http://192.168.1.7:80\\@192.168.1.1/x.xml\r\n", ""),  # miniupnpc asks the first of the two
        (b"Location: http://192.168.1.1:80@192.168.1.7/x.xml\r\n", ""),
        (b"Location: http://192.168.1.11/x.xml\r\n", ""),
        (b"Location: https://192.168.1.1/x.xml\r\n", ""),
        (b"Location: http://192.168.1.1/x y\r\n", ""),
        (b"Location: http://192.168.1.1/" + b"x" * 600 + b"\r\n", ""),
        (b"Location: http://[192.168.1.1/x\r\n", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
def test_only_the_routers_own_description_counts(answer: bytes, url: str) -> None:
    assert location(answer, ROUTER) == url


@pytest.mark.parametrize("control", ["http://192.168.1.7:80\\@192.168.1.1/ctl", "http://192.168.1.7/ctl", "", "/ctl"])
def test_only_services_at_the_router_are_asked(monkeypatch: pytest.MonkeyPatch, control: str) -> None:
    monkeypatch.setattr(Device, "selectigd", lambda self, url: control)
    assert UpnpRouter().do(job()) == UpnpAnswer(Problem.NO_ANSWER) and Device.mappings == {}


def test_the_router_is_found_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as router:
        router.bind(("127.0.0.1", 0))
        router.settimeout(20)
        monkeypatch.setattr(igd, "_SSDP_PORT", router.getsockname()[1])

        def answer() -> None:
            search, sender = router.recvfrom(2048)
            searches.append(search)
            router.sendto(b"HTTP/1.1 200 OK\r\nLOCATION: http://127.0.0.1:5000/x.xml\r\n\r\n", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        assert next(DESCRIPTIONS("127.0.0.1")) == "http://127.0.0.1:5000/x.xml"
        thread.join()
    assert searches[0].startswith(b"M-SEARCH * HTTP/1.1\r\n") and searches[0].endswith(b"\r\n\r\n")
