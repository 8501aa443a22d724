"""The shared clock: the native clock threads, started and stopped from Python.

The host answers, each peer measures. Between joining and leaving, the interpreter touches neither.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import threading

from phaselock import _native
from phaselock.model.types import ClockStatus

FILTERS = ("envelope", "median", "kalman")
USABLE_UNCERTAINTY_NS = 1_000_000
STALE_NS = 2_000_000_000
_DSCP_URGENT = 46 << 2
"""Expedited forwarding: a packet that waits behind a download in a router or a wireless card measures nothing."""
_WANDER = 0.05e-6
"""How fast a crystal may leave its line while nobody measures it, as a fraction of time."""


def clock_status(
    line: _native.LineValue, last_sample_ns: int | None, rtt_ns: int, *, now_ns: int
) -> ClockStatus:
    """What a line measured some time ago still says at local time `now_ns`."""
    age_ns = max(0, now_ns - line.local_ns)
    uncertainty_ns = (line.uncertainty_ns**2 + (line.drift_uncertainty * age_ns) ** 2) ** 0.5 + _WANDER * age_ns
    return ClockStatus(
        usable=line.valid and uncertainty_ns < USABLE_UNCERTAINTY_NS,
        stale=last_sample_ns is None or now_ns - last_sample_ns > STALE_NS,
        offset_ns=line.offset_ns,
        drift_ppm=line.drift * 1e6,
        uncertainty_ns=int(uncertainty_ns) if line.valid else 2**62,
        rtt_ns=rtt_ns,
    )


class HostClock:
    """Answers the pings of allowed peers on a bound UDP socket, which it owns from now on."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        _prepare(bound)
        self.line = _native.ClockLine(identity=True)
        self._responder = _native.Responder(bound.fileno())
        self._thread = threading.Thread(target=self._responder.run, name="clock", daemon=True)
        self._thread.start()

    def allow(self, peer_id: int, ip: str) -> None:
        """Answer this peer, at this address only."""
        self._responder.allow(peer_id, _packed(ip))

    def forbid(self, peer_id: int) -> None:
        """Answer this peer no more."""
        self._responder.forbid(peer_id)

    def status(self, now_ns: int) -> ClockStatus:
        """The host's clock is the session's: exact."""
        return ClockStatus(usable=True, stale=False, offset_ns=0, drift_ppm=0.0, uncertainty_ns=0, rtt_ns=0)

    def close(self) -> None:
        """End the thread, then close the socket."""
        self._responder.stop()
        self._thread.join()
        self._socket.close()


class PeerClock:
    """Measures the host's clock at (ip, port) and keeps `line`. `filter_kind` is one of FILTERS."""

    def __init__(
        self,
        ip: str,
        port: int,
        peer_id: int,
        filter_kind: str = "envelope",
        line: _native.ClockLine | None = None,
    ) -> None:
        self.line = line if line is not None else _native.ClockLine()
        found = socket.getaddrinfo(ip, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        family, kind, protocol, _, address = found[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.connect(address)
            _prepare(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._pinger = _native.Pinger(self._socket.fileno(), peer_id, self.line, secrets.randbits(64), filter_kind)
        self._thread = threading.Thread(target=self._pinger.run, name="clock", daemon=True)
        self._thread.start()

    def status(self, now_ns: int) -> ClockStatus:
        """What is known at local time `now_ns`; the uncertainty grows while no sample comes."""
        samples = self._pinger.status()
        last_sample_ns = samples.last_sample_ns if samples.samples else None
        return clock_status(self.line.value(), last_sample_ns, samples.rtt_ns, now_ns=now_ns)

    def session_from_local(self, local_ns: int) -> int:
        """Session time at a local time."""
        return self.line.session_from_local(local_ns)

    def local_from_session(self, session_ns: int) -> int:
        """Local time at a session time."""
        return self.line.local_from_session(session_ns)

    def close(self) -> None:
        """End the thread, then close the socket."""
        self._pinger.stop()
        self._thread.join()
        self._socket.close()


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(OSError, AttributeError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_URGENT)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_URGENT)


def _packed(ip: str) -> bytes:
    return ipaddress.ip_address(ip.partition("%")[0]).packed
