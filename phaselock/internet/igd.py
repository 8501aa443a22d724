"""UPnP: opens ports at a router that is an Internet Gateway Device. Everything here blocks, for seconds at worst.

miniupnpc does the talking (SOAP over HTTP). It has no dependencies, takes 0.1 MB installed on Linux and 0.1 MB of
memory in the child process. async-upnp-client needs aiohttp, whose import takes 17 MB; upnpclient needs lxml and
requests. We find the router ourselves: the library would wait two seconds for each search, and ask every computer that
says it is a router.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import re
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from phaselock.internet.leases import LEASE_S
from phaselock.internet.pcp import Transport
from phaselock.internet.state import Problem
from phaselock.internet.upnp_job import UpnpAct, UpnpAnswer, UpnpJob

if TYPE_CHECKING:
    import miniupnpc

_SSDP_PORT = 1900
_SSDP_GROUP = "239.255.255.250"
_KINDS = ("urn:schemas-upnp-org:device:InternetGatewayDevice:1", "upnp:rootdevice")
_SEARCHES_S = (0.5, 1.5)
"""The wait for answers to the first and the second search."""
_DESCRIPTION = "PhaseLock"
_TRIED_PORTS = 5
"""Public ports that are tried, the wanted one first."""
_RANDOM_PORTS = range(20_000, 60_000)

_ONLY_PERMANENT = "OnlyPermanentLeasesSupported"
_NO_ANSWERS = ("Miniupnpc Socket error", "Miniupnpc HTTP error", "Miniupnpc Invalid response")
_PROBLEMS = {
    "Action not authorized": Problem.REFUSED,
    "ConflictInMappingEntry": Problem.NO_PORTS,
    "ConflictWithOtherMechanisms": Problem.NO_PORTS,
    "NoPortMapsAvailable": Problem.NO_PORTS,
}


class _NoAnswer(Exception):
    """The router does not answer."""


class UpnpRouter:
    """The router of one network. It does one job after the other."""

    def __init__(self) -> None:
        self._device: miniupnpc.UPnP | None = None
        self._router = ""
        self._ports: dict[Transport, int] = {}
        self._lease_s = LEASE_S

    def do(self, job: UpnpJob) -> UpnpAnswer:
        """Never raises."""
        try:
            import miniupnpc
        except ImportError:
            return UpnpAnswer(Problem.NO_UPNP_LIBRARY)
        if job.router != self._router:
            self._router, self._device = job.router, None
            self._ports.clear()
        if self._device is not None:
            with contextlib.suppress(_NoAnswer):
                return self._do(job, self._device)
        self._device = None  # a router that was restarted may have another address for UPnP
        try:
            self._device = miniupnpc.UPnP()
            _select(self._device, job.router)
            return self._do(job, self._device)
        except _NoAnswer:
            self._device = None
            return UpnpAnswer(Problem.NO_ANSWER)

    def _do(self, job: UpnpJob, device: miniupnpc.UPnP) -> UpnpAnswer:
        if job.act == UpnpAct.REMOVE:
            for transport, outer in self._ports.items():
                with contextlib.suppress(Exception):
                    if not self._is_of_another(device, transport):
                        device.deleteportmapping(outer, transport.name)
            self._ports.clear()
            return UpnpAnswer()
        public, problem = "", Problem.NONE
        with contextlib.suppress(Exception):
            public = str(ipaddress.IPv4Address(device.externalipaddress()))
        for transport, (inner, wanted) in job.wanted.items():
            if job.act == UpnpAct.OPEN or not self._is_open(device, transport, inner):
                problem = self._open(device, transport, inner, wanted) or problem
        if problem and public in ("", "0.0.0.0"):
            problem = Problem.NO_PUBLIC_ADDRESS
        return UpnpAnswer(problem, public, {} if problem else dict(self._ports))

    def _is_open(self, device: miniupnpc.UPnP, transport: Transport, inner: int) -> bool:
        try:
            found = device.getspecificportmapping(self._ports.get(transport, 0), transport.name)
        except Exception as error:
            raise _NoAnswer from error
        return found is not None and tuple(found[:2]) == (device.lanaddr, inner)

    def _is_of_another(self, device: miniupnpc.UPnP, transport: Transport) -> bool:
        """Whether another machine has our public port now. False also if the router does not say."""
        with contextlib.suppress(Exception):
            found = device.getspecificportmapping(self._ports[transport], transport.name)
            return found is not None and found[0] != device.lanaddr
        return False

    def _open(self, device: miniupnpc.UPnP, transport: Transport, inner: int, wanted: int) -> Problem:
        """Open one port, or renew it."""
        if transport in self._ports and self._is_open(device, transport, inner):
            if not self._add(device, transport, inner, self._ports[transport]):
                return Problem.NONE
            # Some routers refuse to change a mapping, also to renew it.
            with contextlib.suppress(Exception):
                device.deleteportmapping(self._ports[transport], transport.name)
        outer = self._ports.pop(transport, wanted)
        error = ""
        for _ in range(_TRIED_PORTS):
            error = self._add(device, transport, inner, outer)
            if error == _ONLY_PERMANENT:
                self._lease_s = 0
                error = self._add(device, transport, inner, outer)
            if not error:
                self._ports[transport] = outer
                return Problem.NONE
            if error in _NO_ANSWERS:
                raise _NoAnswer
            outer = inner if error == "SamePortValuesRequired" else random.choice(_RANDOM_PORTS)
        return _PROBLEMS.get(error, Problem.FAILED)

    def _add(self, device: miniupnpc.UPnP, transport: Transport, inner: int, outer: int) -> str:
        """The text of the error; empty: it is open."""
        try:
            device.addportmapping(outer, transport.name, device.lanaddr, inner, _DESCRIPTION, "", self._lease_s)
        except Exception as error:
            return str(error) or "unknown"
        return ""


def _select(device: miniupnpc.UPnP, router: str) -> None:
    """Read the description of the router's services. _NoAnswer if there is none."""
    for url in _descriptions(router):
        with contextlib.suppress(Exception):
            if _is_at(device.selectigd(url), router):
                return
    raise _NoAnswer


def _descriptions(router: str) -> Iterator[str]:
    """The addresses of the router's descriptions, as it tells them. Only its own answers count."""
    told = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for wait_s in _SEARCHES_S:
            for kind in _KINDS:
                # The first one reaches a router by the right interface, also beside a VPN.
                for target in (router, _SSDP_GROUP):
                    with contextlib.suppress(OSError):
                        sock.sendto(_search(kind), (target, _SSDP_PORT))
            until_s = time.monotonic() + wait_s
            while (left_s := until_s - time.monotonic()) > 0:
                sock.settimeout(left_s)
                try:
                    answer, sender = sock.recvfrom(4096)
                except TimeoutError:
                    break
                except OSError:  # on Windows: an earlier packet met a closed port
                    continue
                url = location(answer, router) if sender[0] == router else ""
                if url and url not in told:
                    told.add(url)
                    yield url


def _search(kind: str) -> bytes:
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {_SSDP_GROUP}:{_SSDP_PORT}",
        'MAN: "ssdp:discover"',
        "MX: 1",
        f"ST: {kind}",
        "\r\n",
    )
    return "\r\n".join(lines).encode()


def location(answer: bytes, router: str) -> str:
    """The address of the description in an answer of SSDP; empty: there is none, or it is at another computer."""
    match = re.search(rb"^location:[ \t]*(http://[!-~]{1,512})[ \t]*\r?$", answer, re.IGNORECASE | re.MULTILINE)
    if match is None:
        return ""
    url = match[1].decode("ascii")
    return url if _is_at(url, router) else ""


def _is_at(url: str, router: str) -> bool:
    """Whether a URL leads to this router, however it is read: libraries do not agree on the host in `http://a\\@b/`."""
    return re.match(rf"http://{re.escape(router)}(:[0-9]{{1,5}})?(/|$)", url) is not None
