"""The child process that talks to the router: lines of JSON in and out. See router_mapping.py for the other end.

In: first `{"nonce": hex}`, with which PCP renews the ports that an earlier process with the same one has opened;
`{"map": {"tcp": [inner, wanted_outer], "udp": [inner, wanted_outer]}}` opens these ports (each may be missing) and
closes all others; with `"instead": {...}` in it, in the same form, it opens those if the router gives other ones;
`{"seen": address}`: a friend reached us there; `{"end": true}`. Out: `{"state": {...}}`, a RouterState, for each
change. When its input ends, also because the host was killed, it removes the ports and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from phaselock.internet import pcp
from phaselock.internet.gateway import gateways
from phaselock.internet.igd import UpnpRouter
from phaselock.internet.leases import Wanted
from phaselock.internet.mapper import Gateway, Mapper
from phaselock.internet.pcp import Transport
from phaselock.internet.second_hop import second_router
from phaselock.internet.telling import Telling
from phaselock.internet.upnp_job import UpnpAnswer, UpnpJob

NETWORK_INTERVAL_S = 5.0
"""Between looks whether this computer has another router or address."""
MAX_LINE_BYTES = 65536
_MAX_MEMORY_BYTES = 128 * 2**20
"""A hostile router may send a description without end. This process has 15 MB, and the stacks of its threads."""
_STACK_BYTES = 2**20


class MapperProcess:
    """Everything on one thread, except the reading of the input and UPnP."""

    def __init__(self) -> None:
        self._mapper = Mapper(os.urandom)
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """From the other threads."""
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._sockets: dict[Gateway, socket.socket] = {}
        self._jobs: queue.SimpleQueue[UpnpJob] = queue.SimpleQueue()
        self._telling = Telling()

    def run(self) -> None:
        """Until the input ends and the ports are removed."""
        for work in (self._read, self._ask):
            threading.Thread(target=work, daemon=True).start()
        network_s = 0.0
        while not self._mapper.has_ended:
            now_s = time.monotonic()
            if now_s >= network_s:
                network_s = now_s + NETWORK_INTERVAL_S
                self._mapper.set_network(*gateways(), now_s)
            self._mapper.wake(now_s)
            self._act()
            next_s = min(self._mapper.next_s, network_s, self._telling.next_s(self._mapper.state))
            wait_s = next_s - time.monotonic()
            for key, _ in self._selector.select(max(wait_s, 0.0)):
                self._receive(key.data)
            while not self._calls.empty():
                self._calls.get()()

    # -- the mapper's wishes -------------------------------------------------------------------------------------------

    def _act(self) -> None:
        for gateway, packet in self._mapper.take_packets():
            self._send(gateway, packet)
        if job := self._mapper.take_job():
            self._jobs.put(job)
        if (silent := self._mapper.take_second()) is not None:
            threading.Thread(target=self._look_further, args=(silent,), daemon=True).start()
        state = self._mapper.state
        if self._telling.take(state, time.monotonic()):
            with contextlib.suppress(OSError):  # the host is gone
                sys.stdout.buffer.write(json.dumps({"state": state.to_json()}).encode() + b"\n")
                sys.stdout.buffer.flush()

    def _send(self, gateway: Gateway, packet: bytes) -> None:
        try:
            sock = self._sockets.get(gateway) or self._open(gateway)
            sock.send(packet)
        except ConnectionRefusedError:
            self._mapper.unreachable(gateway, time.monotonic())
        except OSError:
            pass  # the network is down: as a packet that is lost

    def _open(self, gateway: Gateway) -> socket.socket:
        """A socket that receives packets of this router only."""
        family = socket.AF_INET6 if ":" in gateway.router else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((gateway.own, 0))
            sock.connect(socket.getaddrinfo(gateway.router, pcp.PORT, family, socket.SOCK_DGRAM)[0][4])
        except OSError:
            sock.close()
            raise
        for old in [old for old in self._sockets if (":" in old.router) == (":" in gateway.router)]:
            self._selector.unregister(self._sockets[old])
            self._sockets.pop(old).close()
        self._sockets[gateway] = sock
        self._selector.register(sock, selectors.EVENT_READ, gateway)
        return sock

    def _receive(self, gateway: Gateway | None) -> None:
        if gateway is None:
            with contextlib.suppress(OSError):
                self._bell.recv(4096)
            return
        try:
            packet = self._sockets[gateway].recv(2048)
        except ConnectionError:
            self._mapper.unreachable(gateway, time.monotonic())
        except (OSError, KeyError):
            pass
        else:
            self._mapper.receive(gateway, packet, time.monotonic())

    # -- other threads -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """The thread that reads the input."""
        with contextlib.suppress(OSError):
            while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
                with contextlib.suppress(ValueError, TypeError, AttributeError):
                    self._take(json.loads(line))
        self._call(lambda: self._mapper.end(time.monotonic()))

    def _take(self, line: dict[str, Any]) -> None:
        if "end" in line:
            self._call(lambda: self._mapper.end(time.monotonic()))
        if (nonce := line.get("nonce")) is not None:
            given = bytes.fromhex(nonce)
            self._call(lambda: self._mapper.set_nonce(given))
        if (ports := line.get("map")) is not None:
            wanted = _wanted(ports)
            instead = _wanted(ports["instead"]) if "instead" in ports else None
            self._call(lambda: self._mapper.want(wanted, time.monotonic(), instead))
        if (seen := line.get("seen")) is not None:
            self._call(lambda: self._mapper.set_seen(str(seen), time.monotonic()))

    def _ask(self) -> None:
        """The thread for UPnP."""
        router = UpnpRouter()
        while True:
            job = self._jobs.get()
            self._answered(job, router.do(job))

    def _answered(self, job: UpnpJob, answer: UpnpAnswer) -> None:
        self._call(lambda: self._mapper.upnp_answered(job, answer, time.monotonic()))

    def _look_further(self, gateway: Gateway) -> None:
        """A thread for the second router."""
        second = second_router()
        self._call(lambda: self._mapper.set_second(gateway, second, time.monotonic()))

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.put(function)
        with contextlib.suppress(OSError):
            self._ringer.send(b"!")


def _wanted(ports: dict[str, Any]) -> Wanted:
    """As the input names them. ValueError or TypeError if these are no ports."""
    return {one: _ports(*ports[one.name.lower()]) for one in Transport if one.name.lower() in ports}


def _ports(inner: Any, outer: Any) -> tuple[int, int]:
    """ValueError or TypeError if these are no ports."""
    if not (0 < int(inner) < 65536 and 0 < int(outer) < 65536):
        raise ValueError("not a port")
    return int(inner), int(outer)


def main() -> None:
    """The process. Only the end of its input ends it: after a signal to all programs it still removes the ports."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    threading.stack_size(_STACK_BYTES)
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    MapperProcess().run()
    os._exit(0)  # UPnP may still wait for a router that does not answer
